//! Running a workload in a process of its own, with a sampler or without.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::workload::{Assignment, Told, Workload};
use crate::perf_data;
use crate::report::ReportError;
use crate::sampling::{
    RecordOptions, Recorded, SamplerError, SamplerPlan, SamplingError, Target, record,
};
use crate::system::Machine;

/// Why a part of the self-test could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// No loop is written for this architecture.
    #[error("no code with known accesses is written for this machine's architecture yet")]
    NoKnownCode,
    /// A workload did not end, or not well.
    #[error("a workload ended with {status}")]
    Workload {
        /// How.
        status: String,
    },
    /// JSON between the two sides.
    #[error("{what} is not understood: {cause}")]
    NotUnderstood {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// A call to the system failed.
    #[error("{what}: {cause}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// The sampler cannot be planned at the rate that is wanted.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// Sampling failed.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] perf_data::Error),
    /// There is nothing to report.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// A workload that takes this much longer than it was told to has gone wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where workloads are run.
#[derive(Debug)]
pub(super) struct Bench<'m> {
    pub(super) machine: &'m Machine,
    /// The command that takes an [`Assignment`] as its last word.
    worker: Vec<OsString>,
    folder: tempfile::TempDir,
}

/// A sampled run.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) told: Told,
    pub(super) recorded: Recorded,
    pub(super) recording: PathBuf,
}

impl<'m> Bench<'m> {
    pub(super) fn new(machine: &'m Machine, worker: Vec<OsString>) -> Result<Self, SelfTestError> {
        let folder = tempfile::Builder::new().prefix("hitm-").tempdir();
        let folder = folder.map_err(|cause| SelfTestError::System {
            what: "there is no place for recordings",
            cause,
        })?;
        Ok(Self { machine, worker, folder })
    }

    /// An assignment for some time.
    pub(super) fn assignment(&self, workload: Workload, milliseconds: u64) -> Assignment {
        let told = self.folder.path().join("told.json");
        Assignment { workload, milliseconds, rounds: None, cpus: Vec::new(), told }
    }

    /// Runs a workload without a sampler.
    pub(super) fn run(&self, assignment: &Assignment) -> Result<Told, SelfTestError> {
        let words = self.command(assignment)?;
        let failed = |cause| SelfTestError::System { what: "a workload cannot be run", cause };
        let (program, arguments) =
            words.split_first().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let status = std::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .status()
            .map_err(failed)?;
        if !status.success() {
            return Err(SelfTestError::Workload { status: status.to_string() });
        }
        self.told(assignment)
    }

    /// Runs a workload with a sampler.
    pub(super) fn sample(
        &self,
        plan: &SamplerPlan,
        assignment: &Assignment,
    ) -> Result<Sampled, SelfTestError> {
        let path = self.folder.path().join("hitm.data");
        let options = RecordOptions {
            watch: None,
            heap: None,
            target: Target::Command(self.command(assignment)?),
            output: Some(path.clone()),
            duration: Some(Duration::from_millis(assignment.milliseconds) + PATIENCE),
            delay: None,
            ring_pages: None,
            max_size: None,
            compression_level: None,
            only_programs: Vec::new(),
            only_names: Vec::new(),
            command_line: Vec::new(),
            kernel_build_id: None,
        };
        let mut recorded = self.record(plan, options)?;
        if let Some(mut child) = recorded.command.take() {
            // It has been waited for longer than it should run.
            let _ = child.kill();
            let _ = child.wait();
            return Err(SelfTestError::Workload { status: "its time over".to_owned() });
        }
        if let Some(status) = recorded.status.filter(|status| !status.success()) {
            return Err(SelfTestError::Workload { status: status.to_string() });
        }
        Ok(Sampled { told: self.told(assignment)?, recorded, recording: path })
    }

    /// The one place that knows how a plan becomes a recording.
    fn record(
        &self,
        plan: &SamplerPlan,
        options: RecordOptions,
    ) -> Result<Recorded, SelfTestError> {
        // Nobody writes to it: the end of the workload ends the recording.
        let (never, _open) = io::pipe()
            .map_err(|cause| SelfTestError::System { what: "a pipe cannot be made", cause })?;
        Ok(record(self.machine, plan, options, never.as_fd())?)
    }

    fn command(&self, assignment: &Assignment) -> Result<Vec<OsString>, SelfTestError> {
        let text = serde_json::to_string(assignment)
            .map_err(|cause| SelfTestError::NotUnderstood { what: "an assignment", cause })?;
        Ok(self.worker.iter().cloned().chain([text.into()]).collect())
    }

    /// Reads what a workload has written down, and takes that away, so that the next one cannot be
    /// taken for it.
    fn told(&self, assignment: &Assignment) -> Result<Told, SelfTestError> {
        let what = "what a workload did";
        let failed = |cause| SelfTestError::System { what, cause };
        let text = std::fs::read(&assignment.told).map_err(failed)?;
        std::fs::remove_file(&assignment.told).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|cause| SelfTestError::NotUnderstood { what, cause })
    }
}
