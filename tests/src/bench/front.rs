//! The gateway as it is installed, sidecar and issuer with it, before some FHIR server.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Bench, data};
use crate::harness::gateway::{Gateway, GatewayOptions};
use crate::harness::issuer::{Issuer, Keys};
use crate::harness::sidecar::{Sidecar, SidecarOptions};
use crate::harness::written;

/// A gateway with what it needs; all of it ends when this value goes.
pub struct Front {
    /// The gateway.
    pub gateway: Gateway,
    /// The sidecar, without a chain.
    pub sidecar: Sidecar,
    /// The issuer.
    pub issuer: Issuer,
    /// A token of the doctor who may see what is measured.
    pub token: String,
}

impl Front {
    /// Starts all of it; `more` are keys of the gateway's configuration over the usual ones.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn start(bench: &Bench, name: &str, upstream: &str, more: &Value) -> Result<Self> {
        let folder = bench.folder(name)?;
        let issuer = Issuer::start(Keys::generate(1)?, 0, "https://gateway.example/fhir").await?;
        let sidecar = SidecarOptions {
            name: format!("bench-{name}-sidecar"),
            folder: folder.join("sidecar"),
            origin: "log.example/bench".to_owned(),
            cadence_seconds: 60,
            more: toml::Table::new(),
        };
        let sidecar = Sidecar::start(sidecar, None).await?;
        let mut config = json!({"consent_source": {"max_staleness": "30s"}, "telemetry": {"log_format": "json"}});
        merge(&mut config, more);
        let gateway = GatewayOptions {
            name: format!("bench-{name}-gateway"),
            folder: folder.join("gateway"),
            port: None,
            upstream: upstream.to_owned(),
            issuer: issuer.url.clone(),
            audience: issuer.audience.clone(),
            sidecar_socket: sidecar.socket.clone(),
            log_key: sidecar.log_key.clone(),
            more: written::table(&config)?,
        };
        let gateway = Gateway::start(gateway).await?;
        let token = issuer.token(&data::doctor_claims())?;
        Ok(Self { gateway, sidecar, issuer, token })
    }
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}
