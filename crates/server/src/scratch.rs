//! A directory of our own that is gone afterwards, whether what used it ended or was interrupted.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Those that are there now.
static PRESENT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removed, with everything in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new directory in `parent`, which is made where it is missing. Its name begins with
    /// `counterfoil-` and `purpose`.
    pub(crate) fn new(parent: &Path, purpose: &str) -> anyhow::Result<Self> {
        let random = crate::keys::hex(&crate::keys::random::<6>());
        let path = parent.join(format!("counterfoil-{purpose}-{random}"));
        let made = std::fs::create_dir_all(parent).and_then(|()| {
            let mut builder = std::fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&path)
        });
        made.with_context(|| format!("cannot make {}", path.display()))?;
        present().push(path.clone());
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut present = present();
        if present.contains(&self.0) {
            remove(&self.0);
            present.retain(|path| *path != self.0);
        }
    }
}

/// Does `work`, and removes what it has made when it is interrupted by Ctrl-C: the process has to
/// end then, for the work may still be under way.
pub(crate) fn until_interrupted(
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let (done, mut ends) = tokio::sync::oneshot::channel();
    let worker = std::thread::Builder::new().name("bench".to_owned()).spawn(move || {
        let result = work();
        _ = done.send(());
        result
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_interrupted = runtime.block_on(async {
        tokio::select! {
            _ = &mut ends => false,
            _ = tokio::signal::ctrl_c() => true,
        }
    });
    if is_interrupted {
        for path in present().drain(..) {
            remove(&path);
        }
        bail!("interrupted");
    }
    match worker.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn present() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    PRESENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        remark!("warning: {} stays: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_afterwards_with_all_that_is_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(&parent.path().join("a/b"), "test").unwrap();
        let path = scratch.path().to_owned();
        std::fs::create_dir(path.join("in")).unwrap();
        std::fs::write(path.join("in/file"), "x").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
        assert!(path.parent().unwrap().exists());
    }

    #[test]
    fn what_the_work_says_is_what_is_answered() {
        assert!(until_interrupted(|| Ok(())).is_ok());
        let error = until_interrupted(|| bail!("no")).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
