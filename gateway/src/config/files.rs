//! Whether what the configuration names can be read; secrets are read and dropped.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::problem::Findings;
use super::{AuditEventMode, Config, PeerConfig, SecretSource, SidecarAddress, TlsFiles};

/// Shortest token of the admin port; nothing limits guesses but its length.
const MIN_TOKEN: usize = 16;

/// Notes every named file and secret that cannot be read.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    if let Some(tls) = &config.server.tls {
        readable("server.tls.certificate_file", &tls.certificate, findings);
        readable("server.tls.key_file", &tls.key, findings);
    }
    peer("upstream", &config.upstream.peer, findings);
    if config.consent_source.peer != config.upstream.peer {
        peer("consent_source", &config.consent_source.peer, findings);
    }
    match &config.audit_event {
        AuditEventMode::Fhir { peer: own, .. } if **own != config.upstream.peer => {
            peer("audit_event", own, findings);
        }
        AuditEventMode::Fhir { .. } | AuditEventMode::Journal => {}
    }
    readable("journal.kek_file", &config.journal.kek_file, findings);
    match &config.sidecar.address {
        SidecarAddress::Socket(_) => {} // made by the sidecar, which may start later
        SidecarAddress::Https { identity, ca_file, .. } => {
            client_certificate("sidecar", identity, findings);
            readable("sidecar.ca_file", ca_file, findings);
        }
    }
    if let Some(dir) = &config.organisation.dir
        && let Err(error) = std::fs::read_dir(dir)
    {
        let fault = format!("the folder cannot be read ({})", error.kind());
        findings.fault("policy.cedar_dir", fault, "name a readable folder");
    }
    if let Some(file) = &config.organisation.label_sets {
        readable("policy.label_sets_file", file, findings);
    }
    if let Some(shadow) = &config.shadow {
        if let Some(file) = &shadow.policy_file {
            readable("shadow.policy_file", file, findings);
        }
        if let Some(Err(error)) = shadow.cedar_dir.as_ref().map(std::fs::read_dir) {
            let fault = format!("the folder cannot be read ({})", error.kind());
            findings.fault("shadow.cedar_dir", fault, "name a readable folder");
        }
    }
    if let Some(token) = &config.admin.token {
        own_token("admin.token", token, findings);
    }
    if let Some(token) = &config.consent_source.notify_token {
        own_token("consent_source.notify_token", token, findings);
    }
}

fn own_token(name: &str, token: &SecretSource, findings: &mut Findings) {
    secret(name, token, findings);
    if token.read().is_ok_and(|token| token.expose_secret().len() < MIN_TOKEN) {
        let key = match token {
            SecretSource::File(_) => format!("{name}_file"),
            SecretSource::Environment(_) => format!("{name}_env"),
        };
        findings.fault(&key, "the token is shorter than 16 characters", "make one with 32 random bytes");
    }
}

fn peer(section: &str, peer: &PeerConfig, findings: &mut Findings) {
    if let Some(token) = &peer.bearer_token {
        secret(&format!("{section}.bearer_token"), token, findings);
    }
    if let Some(identity) = &peer.client_certificate {
        client_certificate(section, identity, findings);
    }
    if let Some(ca_file) = &peer.ca_file {
        readable(&format!("{section}.ca_file"), ca_file, findings);
    }
}

fn client_certificate(section: &str, identity: &TlsFiles, findings: &mut Findings) {
    readable(&format!("{section}.client_certificate_file"), &identity.certificate, findings);
    readable(&format!("{section}.client_key_file"), &identity.key, findings);
}

fn readable(key: &str, path: &Path, findings: &mut Findings) {
    if let Err(error) = std::fs::File::open(path) {
        findings.fault(
            key,
            format!("the file cannot be read ({})", error.kind()),
            "name a file that the gateway may read",
        );
    }
}

fn secret(key: &str, source: &SecretSource, findings: &mut Findings) {
    let (key, cure) = match source {
        SecretSource::File(_) => {
            (format!("{key}_file"), "name a file that holds the secret and that the gateway may read")
        }
        SecretSource::Environment(_) => (format!("{key}_env"), "set the variable that the key names"),
    };
    if let Err(error) = source.read() {
        findings.fault(&key, format!("the secret cannot be had: {error}"), cure);
    }
}
