package sealgate.hapi;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import com.zaxxer.hikari.HikariDataSource;
import jakarta.persistence.EntityManagerFactory;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import javax.sql.DataSource;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/** HAPI's storage on H2, with what a test needs: no result reuse, ids of the client's choice, nothing scheduled. */
@Configuration
@Import({
	JpaR4Config.class,
	HapiJpaConfig.class,
	JpaBatch2Config.class,
	Batch2JobsConfig.class,
	SubscriptionChannelConfig.class,
	ThreadPoolFactoryConfig.class
})
public class Storage {

	/** Made first: it and the listeners that it needs name each other, and only this end of the circle can be taken up. */
	private static final Set<String> EARLY = Set.of("searchParamRegistry");

	/** Nearly all beans serve operations that nobody here calls: made when first asked for, they cost nothing. */
	static void lazyUnlessNeeded(ConfigurableListableBeanFactory beans) {
		for (String name : beans.getBeanDefinitionNames()) {
			BeanDefinition bean = beans.getBeanDefinition(name);
			bean.setLazyInit(!EARLY.contains(name));
		}
	}

	@Bean
	public JpaStorageSettings storageSettings(Launcher.Options options) {
		JpaStorageSettings settings = new JpaStorageSettings();
		settings.setReuseCachedSearchResultsForMillis(
				options.reuseSearchMillis() == 0 ? null : options.reuseSearchMillis());
		settings.setEnforceReferentialIntegrityOnWrite(options.referentialIntegrity());
		settings.setEnforceReferentialIntegrityOnDelete(options.referentialIntegrity());
		settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
		settings.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
		settings.setAllowExternalReferences(true);
		settings.setAllowContainsSearches(true);
		settings.setAllowMultipleDelete(true);
		settings.setSchedulingDisabled(true);
		settings.setPreExpandValueSets(false);
		settings.setEnableTaskPreExpandValueSets(false);
		settings.setEnableTaskStaleSearchCleanup(false);
		settings.setEnableTaskBulkExportJobExecution(false);
		settings.setEnableTaskBulkImportJobExecution(false);
		settings.setEnableTaskResourceReindexing(false);
		settings.setHibernateSearchIndexFullText(false);
		settings.setHibernateSearchIndexSearchParams(false);
		settings.setMarkResourcesForReindexingUponSearchParameterChange(false);
		settings.setSearchPreFetchThresholds(List.of(200, 2_000, -1));
		return settings;
	}

	@Bean
	public PartitionSettings partitionSettings() {
		return new PartitionSettings();
	}

	@Bean
	public SubscriptionSettings subscriptionSettings() {
		return new SubscriptionSettings();
	}

	@Bean(destroyMethod = "close")
	public DataSource dataSource(Launcher.Options options) {
		HikariDataSource pool = new HikariDataSource();
		pool.setJdbcUrl(options.jdbcUrl());
		pool.setUsername("sa");
		pool.setPassword("");
		pool.setMaximumPoolSize(32);
		pool.setMinimumIdle(1);
		return pool;
	}

	@Primary
	@Bean
	public LocalContainerEntityManagerFactoryBean entityManagerFactory(
			Launcher.Options options,
			DataSource dataSource,
			ConfigurableListableBeanFactory beans,
			FhirContext fhir,
			JpaStorageSettings settings) {
		LocalContainerEntityManagerFactoryBean factory =
				HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
		factory.setPersistenceUnitName("fhir");
		factory.setDataSource(dataSource);
		Properties hibernate = new Properties();
		hibernate.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
		hibernate.put("hibernate.hbm2ddl.auto", options.database() == null ? "create-only" : "update");
		hibernate.put("hibernate.search.enabled", "false");
		hibernate.put("hibernate.cache.use_query_cache", "false");
		hibernate.put("hibernate.cache.use_second_level_cache", "false");
		hibernate.put("hibernate.cache.use_structured_entries", "false");
		hibernate.put("hibernate.cache.use_minimal_puts", "false");
		hibernate.put("hibernate.jdbc.batch_size", "20");
		factory.setJpaProperties(hibernate);
		return factory;
	}

	@Primary
	@Bean
	public JpaTransactionManager transactionManager(EntityManagerFactory factory) {
		return new JpaTransactionManager(factory);
	}

	@Bean
	public IBinaryStorageSvc binaryStorage() {
		return new DatabaseBinaryContentStorageSvcImpl();
	}
}
