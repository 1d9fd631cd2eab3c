//! The real program in a temporary directory, and a plain HTTP/1.1 client for its socket and its port.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test; each test uses a part"
)]

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "log.example.org/crash";

/// The program of this package.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_anchor-sidecar"))
}

/// A log's directory with key and configuration.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
}

impl Place {
    pub(crate) fn new(more_ingest: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Self { dir, port };
        let made = program().args(["keygen", "log", "--origin", ORIGIN, "--out"]).arg(place.path("log.key")).output();
        assert!(made.unwrap().status.success());
        let text = format!(
            "[log]\norigin = \"{ORIGIN}\"\ndir = \"{}\"\nkey_file = \"{}\"\n[ingest]\nsocket = \"{}\"\n{more_ingest}\n\
             [public]\nlisten = \"127.0.0.1:{port}\"\n[telemetry]\nlog_format = \"text\"\n",
            place.path("log").display(),
            place.path("log.key").display(),
            place.socket().display(),
        );
        std::fs::write(place.path("config.toml"), text).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("ingest.sock")
    }

    /// Starts the program and waits until it answers.
    pub(crate) fn start(&self) -> Running {
        let errors = std::fs::File::create(self.path("stderr")).unwrap();
        let child = program()
            .args(["serve", "--config"])
            .arg(self.path("config.toml"))
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut running = Running { child };
        let until = Instant::now() + Duration::from_secs(30);
        while get(self.port, "/readyz").map_or(0, |(status, _)| status) != 200 {
            assert!(Instant::now() < until, "not ready: {}", self.errors());
            assert!(running.child.try_wait().unwrap().is_none(), "ended: {}", self.errors());
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }

    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    pub(crate) fn fsck(&self, receipts: Option<&str>) -> Output {
        let mut command = program();
        command.args(["fsck", "--config"]).arg(self.path("config.toml"));
        if let Some(receipts) = receipts {
            std::fs::write(self.path("receipts"), receipts).unwrap();
            command.arg("--receipts").arg(self.path("receipts"));
        }
        command.output().unwrap()
    }

    /// Posts JSON to the write side; `Err` when the program went away in between.
    pub(crate) fn post(&self, path: &str, body: &Value) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let body = body.to_string();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: log\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        answer(stream)
    }

    pub(crate) fn hello(&self, source: &str, receipt: Option<(u64, &str)>) -> io::Result<(u16, Vec<u8>)> {
        let receipt =
            receipt.map(|(index, checkpoint)| json!({ "index": index.to_string(), "checkpoint": checkpoint }));
        self.post("/v1/hello", &json!({ "source": source, "epoch": 1, "last_receipt": receipt }))
    }
}

/// A running program; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(port: u16, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n")?;
    answer(stream)
}

/// Status and body; an answer that was cut off is an error.
fn answer(stream: impl Read) -> io::Result<(u16, Vec<u8>)> {
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(cut());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| cut())?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status, body))
}

/// Source number `n` as it is written.
pub(crate) fn source(n: u8) -> String {
    format!("{n:02x}").repeat(16)
}

/// A commitment that differs for each source and sequence number.
pub(crate) fn commitment(source: u8, sequence: u64) -> String {
    format!("{source:02x}{sequence:016x}{}", "5a".repeat(23))
}

/// Body of `/v1/leaves`.
pub(crate) fn batch(n: u8, first: u64, count: u64) -> Value {
    let commitments: Vec<_> = (first..first + count).map(|sequence| commitment(n, sequence)).collect();
    json!({ "source": source(n), "epoch": 1, "first": first.to_string(), "commitments": commitments })
}

/// Body of `/v1/leaf`.
pub(crate) fn single(n: u8, sequence: u64) -> Value {
    json!({ "source": source(n), "epoch": 1, "sequence": sequence.to_string(), "commitment": commitment(n, sequence) })
}
