package sealgate.hapi;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.narrative2.NullNarrativeGenerator;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.Meta;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** HAPI's REST face: all resource types, JSON first, results paged out of the database. */
@Configuration
public class Rest {

	@Bean
	public RestfulServer restfulServer(
			FhirContext fhir,
			IFhirSystemDao<Bundle, Meta> systemDao,
			JpaSystemProvider<Bundle, Meta> systemProvider,
			@Qualifier("myResourceProvidersR4") ResourceProviderFactory resources,
			JpaStorageSettings settings,
			ISearchParamRegistry searchParameters,
			IValidationSupport validation,
			DatabaseBackedPagingProvider paging) {
		fhir.setNarrativeGenerator(new NullNarrativeGenerator());
		RestfulServer server = new RestfulServer(fhir);
		server.registerProviders(resources.createProviders());
		server.registerProvider(systemProvider);
		JpaCapabilityStatementProvider capabilities =
				new JpaCapabilityStatementProvider(server, systemDao, settings, searchParameters, validation);
		capabilities.setImplementationDescription("HAPI FHIR JPA on H2 for demo and tests");
		server.setServerConformanceProvider(capabilities);
		server.setDefaultPrettyPrint(false);
		server.setDefaultResponseEncoding(EncodingEnum.JSON);
		paging.setDefaultPageSize(20);
		paging.setMaximumPageSize(500);
		server.setPagingProvider(paging);
		return server;
	}
}
