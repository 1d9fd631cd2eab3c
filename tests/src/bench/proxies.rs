//! What people put before a FHIR server today: nginx and HAProxy from Debian's packages, one worker each, that pass requests on and check nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, machine};
use crate::harness::fhir;
use crate::harness::process::{Part, Running, free_port};

/// A running proxy.
pub struct Proxy {
    /// Its name and version.
    pub name: String,
    /// The FHIR base behind it.
    pub base: String,
    /// Its process: one, which does all the work.
    pub process: Running,
}

/// nginx before `upstream`, with connections kept alive on both sides.
///
/// # Errors
/// When it cannot be had or does not start.
pub async fn nginx(bench: &Bench, upstream: &str) -> Result<Proxy> {
    let home = bench.tools.debian("nginx", &["nginx"]).await?;
    let program = home.join("usr/sbin/nginx");
    let folder = bench.folder("nginx")?;
    let (port, behind) = (free_port()?, authority(upstream)?);
    let shown = folder.display();
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {shown}/pid; error_log {shown}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
           access_log off; keepalive_requests 100000000; server_tokens off;\n\
           client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy; fastcgi_temp_path {shown}/fastcgi;\n\
           uwsgi_temp_path {shown}/uwsgi; scgi_temp_path {shown}/scgi;\n\
           upstream behind {{ server {behind}; keepalive 256; keepalive_requests 100000000; }}\n\
           server {{ listen 127.0.0.1:{port} backlog=1024; location / {{\n\
             proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
           }} }}\n\
         }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config)?;
    let name = machine::said(&path_text(&program)?, &["-v"]).await.replace("nginx version: ", "");
    let part = Part::new("bench-nginx", &program).arg("-p").arg(&folder).arg("-c").arg(&file);
    ready(name, port, part.start()?).await
}

/// HAProxy before `upstream`, one thread, connections shared and kept alive.
///
/// # Errors
/// When it cannot be had or does not start.
pub async fn haproxy(bench: &Bench, upstream: &str) -> Result<Proxy> {
    let packages = ["haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"];
    let home = bench.tools.debian("haproxy", &packages).await?;
    let program = home.join("usr/sbin/haproxy");
    let folder = bench.folder("haproxy")?;
    let (port, behind) = (free_port()?, authority(upstream)?);
    let config = format!(
        "global\n  nbthread 1\n  maxconn 2000\n\
         defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n\
         frontend front\n  bind 127.0.0.1:{port}\n  default_backend behind\n\
         backend behind\n  server one {behind} maxconn 256\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, config)?;
    let libraries = home.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let part = Part::new("bench-haproxy", &program).env("LD_LIBRARY_PATH", &libraries).arg("-db").arg("-f").arg(&file);
    let (path, own) = (format!("LD_LIBRARY_PATH={}", libraries.display()), path_text(&program)?);
    let version = machine::said("env", &[&path, &own, "-v"]).await;
    let version = version.split_whitespace().nth(2).unwrap_or("unknown").to_owned();
    ready(format!("HAProxy {version}"), port, part.start()?).await
}

async fn ready(name: String, port: u16, mut process: Running) -> Result<Proxy> {
    let base = format!("http://127.0.0.1:{port}/fhir");
    let (client, probe) = (fhir::client()?, format!("{base}/metadata"));
    process
        .ready(Duration::from_secs(10), async |_: &str| {
            client.get(&probe).send().await.ok()?.status().is_success().then_some(())
        })
        .await?;
    Ok(Proxy { name, base, process })
}

fn authority(base: &str) -> Result<&str> {
    base.strip_prefix("http://").and_then(|rest| rest.split('/').next()).context("a base without http")
}

fn path_text(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} is no text", path.display()))?.to_owned())
}
