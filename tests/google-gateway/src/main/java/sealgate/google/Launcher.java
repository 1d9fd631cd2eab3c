package sealgate.google;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.ServletComponentScan;

/** Starts google/fhir-gateway with the access checkers that it ships; everything else stands in its environment variables. */
@SpringBootApplication(scanBasePackages = "com.google.fhir.gateway.plugin")
@ServletComponentScan(basePackages = "com.google.fhir.gateway")
public class Launcher {
    public static void main(String[] arguments) {
        SpringApplication.run(Launcher.class, arguments);
    }
}
