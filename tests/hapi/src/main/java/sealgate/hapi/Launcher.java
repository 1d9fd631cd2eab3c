package sealgate.hapi;

import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.Wrapper;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * Starts HAPI FHIR JPA (R4, H2) on 127.0.0.1 and says so with one line on standard output: {@code ready BASE-URL}.
 *
 * <p>It ends when its standard input closes, so that a parent that dies takes the server along, whatever killed it.
 */
public final class Launcher {

	private static final String USAGE =
			"""
			usage: hapi-launcher [--port N] [--base URL] [--database FILE]
			                     [--referential-integrity true|false] [--reuse-search-ms N]
			  --port N                 port on 127.0.0.1; 0, the default, takes a free one
			  --base URL               base of every link and Location; default http://127.0.0.1:PORT/fhir
			  --database FILE          H2 file (without its ending .mv.db), kept after the end; default: in memory
			  --referential-integrity  refuse references to resources that do not exist; default false
			  --reuse-search-ms N      give an equal search the result of an earlier one for so long; default 0, off""";

	private Launcher() {}

	public static void main(String[] arguments) throws Exception {
		long begin = System.nanoTime();
		Options options;
		try {
			options = Options.parse(arguments);
		} catch (IllegalArgumentException wrong) {
			System.err.println(wrong.getMessage());
			System.err.println(USAGE);
			System.exit(64);
			return;
		}

		AnnotationConfigApplicationContext spring = new AnnotationConfigApplicationContext();
		spring.registerBean(Options.class, () -> options);
		spring.register(Storage.class, Rest.class);
		spring.addBeanFactoryPostProcessor(Storage::lazyUnlessNeeded);
		spring.refresh();

		RestfulServer fhir = spring.getBean(RestfulServer.class);
		// INVARIANT: the address is known before the first answer. Where the port is free to choose it is known once bound, below.
		fhir.setServerAddressStrategy(new HardcodedServerAddressStrategy(options.base(options.port())));
		Tomcat tomcat = serve(options, fhir);
		String base = options.base(tomcat.getConnector().getLocalPort());
		fhir.setServerAddressStrategy(new HardcodedServerAddressStrategy(base));

		double seconds = (System.nanoTime() - begin) / 1e9;
		System.err.printf("started in %.1f s%n", seconds);
		System.out.println("ready " + base);
		System.out.flush();

		awaitEndOfInput();
		stop(tomcat, spring);
		Runtime.getRuntime().halt(0);
	}

	private static Tomcat serve(Options options, RestfulServer fhir) throws IOException, LifecycleException {
		Path scratch = Files.createTempDirectory("hapi-tomcat");
		scratch.toFile().deleteOnExit();
		Tomcat tomcat = new Tomcat();
		tomcat.setBaseDir(scratch.toString());
		tomcat.setSilent(true);
		Connector connector = new Connector("org.apache.coyote.http11.Http11NioProtocol");
		connector.setProperty("address", "127.0.0.1");
		connector.setProperty("maxKeepAliveRequests", "-1");
		// FHIR's own search syntax has these, and clients send them as they are.
		connector.setProperty("relaxedQueryChars", "|{}[]^\"<>\\`");
		connector.setPort(options.port());
		connector.setURIEncoding("UTF-8");
		tomcat.setConnector(connector);
		Context context = tomcat.addContext("", scratch.toString());
		Wrapper servlet = Tomcat.addServlet(context, "fhir", fhir);
		servlet.setLoadOnStartup(1);
		context.addServletMappingDecoded("/fhir/*", "fhir");
		tomcat.start();
		if (!connector.getState().isAvailable()) {
			throw new IOException("port " + options.port() + " of 127.0.0.1 cannot be bound");
		}
		return tomcat;
	}

	private static void awaitEndOfInput() {
		try (InputStream input = System.in) {
			while (input.read() >= 0) {
				// Whatever is typed is of no interest: only the end is.
			}
		} catch (IOException closed) {
			// As good as the end.
		}
	}

	/** Stops within a few seconds or is cut off: the caller waits for the end of the process. */
	private static void stop(Tomcat tomcat, AnnotationConfigApplicationContext spring) {
		Thread orderly = new Thread(() -> {
			try {
				tomcat.stop();
				spring.close();
			} catch (LifecycleException failed) {
				System.err.println("did not stop in order: " + failed.getMessage());
			}
		});
		orderly.setDaemon(true);
		orderly.start();
		try {
			orderly.join(5_000);
		} catch (InterruptedException interrupted) {
			Thread.currentThread().interrupt();
		}
	}

	/**
	 * What the command line said.
	 *
	 * @param port port on 127.0.0.1, 0 for a free one
	 * @param fixedBase public base of every link, or null for the real address
	 * @param database H2 file without its ending, or null for memory
	 * @param referentialIntegrity whether references must lead somewhere
	 * @param reuseSearchMillis for how long an equal search gets an earlier result, 0 for never
	 */
	public record Options(
			int port, String fixedBase, String database, boolean referentialIntegrity, long reuseSearchMillis) {

		static Options parse(String[] arguments) {
			Map<String, String> given = new LinkedHashMap<>();
			for (int at = 0; at < arguments.length; at += 2) {
				if (at + 1 == arguments.length) {
					throw new IllegalArgumentException(arguments[at] + ": a value is missing");
				}
				given.put(arguments[at], arguments[at + 1]);
			}
			int port = (int) number(given, "--port", 0, 65_535);
			String base = given.remove("--base");
			String database = given.remove("--database");
			boolean integrity = flag(given, "--referential-integrity");
			long reuse = number(given, "--reuse-search-ms", 0, Integer.MAX_VALUE);
			if (!given.isEmpty()) {
				throw new IllegalArgumentException(given.keySet().iterator().next() + ": unknown option");
			}
			return new Options(port, base, database, integrity, reuse);
		}

		private static long number(Map<String, String> given, String name, long standard, long highest) {
			String text = given.remove(name);
			if (text == null) {
				return standard;
			}
			if (!text.matches("[0-9]{1,10}") || Long.parseLong(text) > highest) {
				throw new IllegalArgumentException(name + ": not a number from 0 to " + highest);
			}
			return Long.parseLong(text);
		}

		private static boolean flag(Map<String, String> given, String name) {
			String text = given.remove(name);
			if (text != null && !text.equals("true") && !text.equals("false")) {
				throw new IllegalArgumentException(name + ": neither true nor false");
			}
			return "true".equals(text);
		}

		String base(int realPort) {
			return fixedBase == null ? "http://127.0.0.1:" + realPort + "/fhir" : fixedBase;
		}

		String jdbcUrl() {
			return database == null ? "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1" : "jdbc:h2:file:" + database + ";DB_CLOSE_ON_EXIT=FALSE";
		}
	}
}
