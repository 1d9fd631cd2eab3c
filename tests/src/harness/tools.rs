//! Pinned tools, installed on first use into one folder and found there ever after, without a network.
//!
//! The folder is `SEALGATE_TOOLS`, else `<workspace>/target/tools`. Each tool lies in a folder of its own whose name changes with its pins, and
//! which appears whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::{say, workspace};

/// The version of the OpenTelemetry collector, from PyPI.
const ROTEL: &str = "rotel==0.0.1a15";

/// What makes HAPI start quickly: no second compiler, one collector thread, classes as they were dumped at the set-up.
const HAPI_JVM: [&str; 4] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1536m", "-Djava.awt.headless=true"];

/// The folder of the tools.
#[derive(Debug, Clone)]
pub struct Tools {
    folder: PathBuf,
}

/// A Java program as it is called: the virtual machine and its leading arguments.
#[derive(Debug, Clone)]
pub struct JavaProgram {
    /// The Java virtual machine.
    pub java: PathBuf,
    /// Everything up to and with the main class.
    pub arguments: Vec<String>,
}

impl Tools {
    /// Opens the folder of the tools, made when absent.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open() -> Result<Self> {
        let folder = match workspace::environment("SEALGATE_TOOLS") {
            Some(folder) => PathBuf::from(folder),
            None => workspace::target("tools")?,
        };
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder })
    }

    /// HAPI FHIR with the launcher of `tests/hapi`, built by Maven on first use.
    ///
    /// # Errors
    /// Without Java 17, Maven or, the first time, a network.
    pub async fn hapi(&self) -> Result<JavaProgram> {
        let java = java().await?;
        let sources = workspace::package("hapi");
        let digest = digest_of(&sources, &java.version)?;
        let home = self.folder.join(format!("hapi-{digest}"));
        self.once(&home, async |fresh: &Path| {
            say::while_running(
                "building HAPI FHIR with Maven (about 300 MB to download, once)",
                build_java(&sources, fresh, "hapi-launcher"),
            )
            .await
        })
        .await?;
        let archive = home.join("classes.jsa");
        if !archive.exists() {
            let primed = say::while_running(
                "dumping HAPI's classes for quick starts (once)",
                prime_hapi(&java.program, &home, &archive),
            );
            if let Err(error) = primed.await {
                say::step(&format!("no class archive, starts take longer: {error:#}"));
            }
        }
        let mut arguments = jvm_arguments(&home);
        if archive.exists() {
            arguments.insert(0, format!("-XX:SharedArchiveFile={}", archive.display()));
            arguments.insert(0, "-Xlog:disable".to_owned());
        }
        Ok(JavaProgram { java: java.program, arguments })
    }

    /// anvil, as `anchor-sidecar/contracts/package.json` pins it; `SEALGATE_ANVIL` names another one.
    ///
    /// # Errors
    /// Without npm or, the first time, a network.
    pub async fn anvil(&self) -> Result<PathBuf> {
        if let Some(program) = workspace::environment("SEALGATE_ANVIL") {
            return Ok(PathBuf::from(program));
        }
        let pins = workspace::root()?.join("anchor-sidecar/contracts");
        let home = self.folder.join("contracts");
        let lock = fs::read(pins.join("package-lock.json")).context("anvil's pins are missing")?;
        let _guard = self.lock().await?;
        let current = fs::read(home.join("package-lock.json")).is_ok_and(|here| here == lock);
        if !current || anvil_below(&home).is_err() {
            require("npm", "install Node.js 20 or newer, which brings npm").await?;
            fs::create_dir_all(&home)?;
            for file in ["package.json", "package-lock.json"] {
                fs::copy(pins.join(file), home.join(file))?;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&home);
            say::while_running("installing anvil from npm (once)", run(npm)).await?;
        }
        anvil_below(&home)
    }

    /// rotel, an OpenTelemetry collector, from PyPI.
    ///
    /// # Errors
    /// Without Python 3 with pip or, the first time, a network.
    pub async fn rotel(&self) -> Result<PathBuf> {
        let home = self.folder.join(ROTEL.replace("==", "-"));
        self.once(&home, async |fresh: &Path| {
            require("python3", "install Python 3.9 or newer with pip").await?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(fresh).arg(ROTEL);
            say::while_running("installing the collector rotel from PyPI (once)", run(pip)).await
        })
        .await?;
        find_file(&home, &|path| {
            path.file_name() == Some(OsStr::new("rotel-agent"))
                || path.file_name() == Some(OsStr::new("rotel"))
                    && path.parent().is_some_and(|folder| folder.ends_with("bin"))
        })?
        .context("the package rotel holds no program of that name")
    }

    /// google/fhir-gateway with the launcher of `tests/google-gateway`, built by Maven on first use.
    ///
    /// # Errors
    /// Without Java 17, Maven or, the first time, a network.
    pub async fn google_gateway(&self) -> Result<JavaProgram> {
        let java = java().await?;
        let sources = workspace::package("google-gateway");
        let home = self.folder.join(format!("google-gateway-{}", digest_of(&sources, &java.version)?));
        self.once(&home, async |fresh: &Path| {
            let built = build_java(&sources, fresh, "google-gateway-launcher");
            say::while_running("building google/fhir-gateway with Maven (about 60 MB to download, once)", built).await
        })
        .await?;
        let class_path =
            format!("{}:{}/*", home.join("google-gateway-launcher.jar").display(), home.join("lib").display());
        let arguments = ["-Xmx1g", "-cp", &class_path, "sealgate.google.Launcher"].map(str::to_owned).to_vec();
        Ok(JavaProgram { java: java.program, arguments })
    }

    /// Programs out of packages of this machine's Debian, unpacked and not installed: the folder that takes the root's place.
    ///
    /// # Errors
    /// On another system than Debian or, the first time, without a network.
    pub async fn debian(&self, name: &str, packages: &[&str]) -> Result<PathBuf> {
        let home = self.folder.join(format!("debian-{name}"));
        self.once(&home, async |fresh: &Path| {
            require("apt-get", "these programs come from Debian's packages").await?;
            let mut get = Command::new("apt-get");
            get.args(["download", "--quiet", "--quiet"]).args(packages).current_dir(fresh);
            say::while_running(&format!("fetching {name} from Debian (once)"), run(get)).await?;
            for package in packages_in(fresh)? {
                let mut unpack = Command::new("dpkg");
                unpack.arg("-x").arg(&package).arg(fresh);
                run(unpack).await?;
                fs::remove_file(&package)?;
            }
            Ok(())
        })
        .await?;
        Ok(home)
    }

    /// Makes a folder once: `fill` works on a fresh one, which takes the name only when all went well.
    async fn once(&self, home: &Path, fill: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
        let _guard = self.lock().await?;
        if home.is_dir() {
            return Ok(());
        }
        let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.folder)?;
        fill(fresh.path()).await?;
        fs::rename(fresh.keep(), home)?;
        Ok(())
    }

    /// Two commands that start at once do not install the same tool twice.
    async fn lock(&self) -> Result<File> {
        let file = File::create(self.folder.join(".lock"))?;
        if file.try_lock().is_err() {
            say::step("another tool is being installed: waiting for it");
            // Never a blocking wait: who holds the lock may be another future of this very task.
            while file.try_lock().is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(file)
    }
}

struct Java {
    program: PathBuf,
    version: String,
}

async fn java() -> Result<Java> {
    let program = match workspace::environment("JAVA_HOME") {
        Some(home) => PathBuf::from(home).join("bin/java"),
        None => PathBuf::from("java"),
    };
    let cure = "java is missing or older than 17: install a JDK 17 (Debian: openjdk-17-jdk-headless)";
    let output = Command::new(&program).arg("-version").output().await.context(cure)?;
    let version = String::from_utf8_lossy(&output.stderr).into_owned();
    let major = version
        .split('"')
        .nth(1)
        .and_then(|quoted| quoted.split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    ensure!(major.is_some_and(|major| major >= 17), cure);
    Ok(Java { program, version })
}

/// Builds beside the sources' copy, so that the source tree stays as it is.
async fn build_java(sources: &Path, home: &Path, name: &str) -> Result<()> {
    require("mvn", "install Apache Maven 3.8 or newer (Debian: maven)").await?;
    let work = home.join("build");
    copy_tree(sources, &work)?;
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--no-transfer-progress", "--quiet"])
        .args(["package", "dependency:copy-dependencies"])
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", home.join("lib").display()))
        .current_dir(&work);
    run(maven).await?;
    fs::rename(work.join(format!("target/{name}-1.jar")), home.join(format!("{name}.jar")))
        .context("Maven built no launcher")?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn jvm_arguments(home: &Path) -> Vec<String> {
    let class_path = format!("{}:{}/*", home.join("hapi-launcher.jar").display(), home.join("lib").display());
    HAPI_JVM.into_iter().chain(["-cp", &class_path, "sealgate.hapi.Launcher"]).map(str::to_owned).collect()
}

/// Runs the server once, lets it answer, and has the virtual machine write down the classes that it loaded.
async fn prime_hapi(java: &Path, home: &Path, archive: &Path) -> Result<()> {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let part = archive.with_extension("part");
    let mut child = Command::new(java)
        .args(["-Xlog:disable", "-Xlog:all=off"])
        .arg(format!("-XX:ArchiveClassesAtExit={}", part.display()))
        .args(jvm_arguments(home))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let base = loop {
        let line = lines.next_line().await?.context("HAPI ended before it was ready")?;
        if let Some(base) = line.strip_prefix("ready ") {
            break base.to_owned();
        }
    };
    // Nobody must wait for us to read on.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let client = super::fhir::client()?;
    for path in ["metadata", "Patient?name=nobody&_include=Patient:organization"] {
        client.get(format!("{base}/{path}")).send().await?.bytes().await?;
    }
    drop(child.stdin.take());
    tokio::time::timeout(Duration::from_secs(180), child.wait()).await.context("the virtual machine did not end")??;
    fs::rename(&part, archive).context("the virtual machine wrote no archive")?;
    Ok(())
}

/// A name for these sources and this virtual machine: another of either is another program.
fn digest_of(folder: &Path, more: &str) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    digest.update(more);
    for file in files {
        let name = file.strip_prefix(folder)?.to_string_lossy().into_owned();
        digest.update(name.as_bytes());
        digest.update(fs::read(&file)?);
    }
    let mut name = hex::encode(digest.finalize());
    name.truncate(12);
    Ok(name)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} is missing", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            // What a Maven run by hand left behind is no source.
            if !path.ends_with("target") {
                collect(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(from, &mut files)?;
    for file in files {
        let target = to.join(file.strip_prefix(from)?);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&file, &target)?;
    }
    Ok(())
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("deb")) {
            packages.push(path);
        }
    }
    Ok(packages)
}

fn anvil_below(home: &Path) -> Result<PathBuf> {
    find_file(&home.join("node_modules/@foundry-rs"), &|path| path.ends_with("bin/anvil"))?
        .context("npm has no anvil for this machine: name one by SEALGATE_ANVIL")
}

fn find_file(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    Ok(files.into_iter().find(|path| wanted(path)))
}

/// A program that must be there; one sentence says what is missing and what cures it.
async fn require(program: &str, cure: &str) -> Result<()> {
    let found = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
    match found {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) | Err(_) => bail!("{program} is missing: {cure}"),
    }
}

/// Runs an installer to its end; its output is shown only where it fails.
async fn run(mut command: Command) -> Result<()> {
    let shown = format!("{:?}", command.as_std().get_program());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{shown} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{shown} failed ({}); is there a network?\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
