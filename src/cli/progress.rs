//! A progress bar on the terminal for work that takes longer than half a second.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the bar moves while nothing is counted.
const TICK: Duration = Duration::from_millis(100);

/// Shows that work goes on: first that the recording is read, then how many samples are done.
pub struct Progress {
    bar: ProgressBar,
    is_done: Arc<AtomicBool>,
}

impl Progress {
    /// Starts; nothing is shown yet, and never where there is no terminal.
    pub fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let is_done = Arc::new(AtomicBool::new(false));
        if let Ok(style) = ProgressStyle::with_template("{spinner} reading the recording") {
            bar.set_style(style);
        }
        if std::io::stderr().is_terminal() {
            let (bar, is_done) = (bar.clone(), is_done.clone());
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                if !is_done.load(Ordering::Acquire) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.enable_steady_tick(TICK);
                }
            });
        }
        Self { bar, is_done }
    }

    /// From here on `total` samples are counted.
    pub fn expect(&self, total: u64) {
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}%") {
            self.bar.set_style(style);
        }
        self.bar.set_length(total);
    }

    /// So many more are done.
    pub fn add(&self, samples: u64) {
        self.bar.inc(samples);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Release);
        self.bar.finish_and_clear();
    }
}
