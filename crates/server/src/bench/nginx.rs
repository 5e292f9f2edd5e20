//! The reference of `bench click`: nginx that redirects and keeps an access log.
//!
//! Its configuration and all of its files are in a directory of ours; the machine's own nginx is
//! left alone.

use super::child::{Process, find_program, free_address, is_listening};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where nginx is where it is not on the search path.
const DIRS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// As long as the landing URLs of the clicks it is compared with.
pub(crate) const LOCATION: &str =
    "https://advertiser.example/landing?click_id=06gywnjxzw0000000000000000p3aqjp7z00&source=us";

/// nginx under load.
pub(crate) struct Nginx {
    _process: Process,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// `None` where there is no nginx on this machine.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = find_program("nginx", &DIRS.map(PathBuf::from)) else {
            return Ok(None);
        };
        let address = free_address()?;
        let file = dir.join("nginx.conf");
        std::fs::write(&file, configuration(dir, address))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(dir)
            .arg("-e")
            .arg(dir.join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null());
        let mut process = Process::start("nginx", &mut command)?;
        process.wait_until(|| is_listening(address))?;
        Ok(Some(Self { _process: process, address }))
    }
}

fn configuration(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "daemon off;
worker_processes auto;
pid {dir}/nginx.pid;
events {{ worker_connections 16384; }}
http {{
    access_log {dir}/access.log combined;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    server {{
        listen {address} backlog=4096;
        location / {{ return 302 {LOCATION}; }}
    }}
}}
"
    )
}
