//! `vidette doctor compose`: what of a self-hosted's Compose files stands in the way of an edge.
//!
//! Owns which files are read and which service is the edge. Asks no engine: it says what the files
//! would come to.

mod entrance;
mod keeping;
mod merged;
mod reach;
mod service;
mod variables;
mod yaml;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use serde_json::json;

use super::super::{misused, say};
use super::{Finding, exit_code, show};
use crate::config::{self, Config, Env};
use service::Service;
use variables::Variables;
use yaml::Node;

/// Self-hosted's own file has some 50 kB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What Compose looks for by itself, the first that is there.
const FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// What Compose lays over it by itself, the first that is there.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Where the edge looks for its file in the image, which runs in `/`.
const CONFIGURATIONS: [&str; 2] = ["/vidette.yml", "/etc/vidette/vidette.yml"];

/// What `doctor compose` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Self-hosted's file or its folder; an override beside it is laid over it. Default: this folder.
    #[arg(value_name = "FILE", default_value = ".")]
    file: PathBuf,
    /// Files without their option, for what is said of them.
    #[arg(hide = true)]
    more: Vec<PathBuf>,
    /// One more file over it, as often as there are some; then none is looked for.
    #[arg(short = 'f', long = "override", value_name = "FILE")]
    overrides: Vec<PathBuf>,
    /// The service that runs vidette, where that cannot be told.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The findings as JSON.
    #[arg(long)]
    json: bool,
}

/// What the files come to.
struct Project {
    folder: PathBuf,
    root: Node,
}

/// The edge among the services, and how it is configured there.
struct Edge<'n> {
    service: Service<'n>,
    /// The networks that the files describe.
    networks: &'n [(String, Node)],
    config: Config,
    /// What the edge itself would say at its start.
    warnings: Vec<String>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    if let Some(second) = arguments.more.first() {
        return misused(&anyhow!(
            "one file, and each that lies over it behind -f: vidette doctor compose {} -f {}",
            arguments.file.display(),
            second.display()
        ));
    }
    let project = match read(arguments) {
        Ok(project) => project,
        Err(error) => return misused(&error),
    };
    let services = Service::all(&project.root);
    let findings = match edge(arguments, &project, &services) {
        Ok(edge) => {
            let mut findings = entrance::of(&edge, &services);
            let place = edge.service.place("environment");
            let warnings = edge.warnings.iter();
            findings.extend(warnings.map(|said| Finding::warn(format!("{place}: {said}"))));
            findings.extend(reach::of(&edge, &services));
            findings.extend(keeping::of(&edge));
            findings
        }
        Err(found) => vec![*found],
    };
    if arguments.json {
        say(&json!({"findings": findings}).to_string());
    } else {
        show(&findings);
    }
    exit_code(&findings)
}

/// Reads the files, lays them over each other and puts variables in.
fn read(arguments: &Arguments) -> anyhow::Result<Project> {
    let base = match arguments.file.is_dir() {
        true => {
            let found = first(&arguments.file, &FILES);
            found
                .with_context(|| format!("no docker-compose.yml in {}", arguments.file.display()))?
        }
        false => arguments.file.clone(),
    };
    let folder = match base.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let mut tops = arguments.overrides.clone();
    if tops.is_empty() {
        tops.extend(first(&folder, &OVERRIDES).filter(|top| *top != base));
    }
    let mut root = document(&base)?;
    for top in &tops {
        root = merged::over(root, document(top)?);
    }
    if Service::all(&root).is_empty() {
        bail!("{}: no services in it", base.display());
    }
    Variables::of(&folder).fill(&mut root);
    Ok(Project { folder, root })
}

fn first(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let mut paths = names.iter().map(|name| folder.join(name));
    let found = paths.find(|path| path.is_file())?;
    // What is in this folder is named as a reader would name it.
    Some(
        found
            .strip_prefix(".")
            .map_or(found.clone(), Path::to_path_buf),
    )
}

fn document(path: &Path) -> anyhow::Result<Node> {
    let name = path.display().to_string();
    let text = text_of(path).with_context(|| format!("{name} cannot be read"))?;
    yaml::read(&name, &text).map_err(anyhow::Error::msg)
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1);
    let length = { file }.read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length > FILE_BYTES_MAX) {
        bail!("larger than any such file");
    }
    Ok(text)
}

/// The edge, or what is wrong before anything else can be said.
fn edge<'n>(
    arguments: &Arguments,
    project: &'n Project,
    services: &[Service<'n>],
) -> Result<Edge<'n>, Box<Finding>> {
    let found = match &arguments.service {
        Some(name) => services.iter().find(|service| service.name == name),
        None => services
            .iter()
            .find(|service| is_edge(service, &project.folder)),
    };
    let Some(&service) = found else {
        return Err(Box::new(nowhere(arguments, services)));
    };
    let environment = service.environment(&project.folder);
    let file = configuration(&service, environment.get("VIDETTE_CONFIG"), &project.folder);
    let (name, text) = match &file {
        Some(path) => {
            let name = path.display().to_string();
            match text_of(path) {
                Ok(text) => (name, text),
                Err(error) => {
                    return Err(Box::new(
                        Finding::problem(format!(
                            "{}: its configuration {name} cannot be read: {error:#}",
                            service.place("volumes")
                        ))
                        .why("a path that is not there becomes an empty folder, and the edge does not start")
                        .mend("put the file there, or take the volume out"),
                    ));
                }
            }
        }
        None => ("environment".to_owned(), String::new()),
    };
    match config::parse(&name, &text, &Env::from_iter(environment)) {
        Ok((config, warnings)) => Ok(Edge {
            service,
            networks: project
                .root
                .get("networks")
                .map(Node::entries)
                .unwrap_or_default(),
            config,
            warnings,
        }),
        Err(errors) => {
            let errors: Vec<String> = errors.to_string().lines().map(str::to_owned).collect();
            let place = service.place("environment");
            Err(Box::new(
                Finding::problem(format!(
                    "{place}: its configuration is refused: {}",
                    errors.join("; ")
                ))
                .why("the edge does not start")
                .mend("mend that, then run this again"),
            ))
        }
    }
}

/// Whether a service runs vidette, by its image, its environment, its check or its command.
fn is_edge(service: &Service<'_>, folder: &Path) -> bool {
    let image = service.text("image").unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    let environment = service.environment(folder);
    let program = |words: Vec<&str>| {
        words
            .iter()
            .any(|word| word.rsplit('/').next() == Some("vidette"))
    };
    image.starts_with("vidette")
        || environment.keys().any(|name| name.starts_with("VIDETTE_"))
        || program(service.words(&["healthcheck", "test"]))
        || program(service.words(&["command"]))
}

/// The file on the host that the edge reads, if one is mounted where it looks.
fn configuration(service: &Service<'_>, named: Option<&String>, folder: &Path) -> Option<PathBuf> {
    let words = service.words(&["command"]);
    let mut pairs = words.windows(2);
    let flag = pairs.find_map(|pair| match pair {
        ["-c" | "--config", file] => Some((*file).to_owned()),
        _ => None,
    });
    let named = flag.or_else(|| named.cloned());
    match named {
        Some(path) => service.on_host(&path, folder),
        None => CONFIGURATIONS
            .iter()
            .find_map(|path| service.on_host(path, folder).filter(|file| file.exists())),
    }
}

fn nowhere(arguments: &Arguments, services: &[Service<'_>]) -> Finding {
    if let Some(name) = &arguments.service {
        return Finding::problem(format!("no service is called {name}"));
    }
    let nginx = services.iter().find(|service| entrance::is_nginx(service));
    let (place, seen) = match nginx {
        Some(nginx) => (
            nginx.place("image"),
            "is still nginx, and no service runs vidette",
        ),
        None => (
            services
                .first()
                .map(|first| first.place("image"))
                .unwrap_or_default(),
            "is the first of services of which none runs vidette",
        ),
    };
    Finding::problem(format!("{place} {seen}")).mend(
        "copy config/compose/docker-compose.override.yml beside it, and see what stands in it",
    )
}
