//! The configurations that the guides under docs/operations show are accepted, each as it stands there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;

use fhir_gateway::config::Config;

#[test]
fn every_configuration_in_the_guides_is_valid() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations");
    let mut shown = Vec::new();
    for entry in std::fs::read_dir(guides).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let toml = block.split("```").next().unwrap();
            if toml.starts_with("# gateway.toml") {
                Config::parse(toml, []).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
                shown.push(path.file_stem().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    shown.sort();
    assert_eq!(shown, ["install-cloud", "install-hapi", "install-keycloak"], "guides with a whole configuration");
}
