//! What every report starts from: a recording, its processes, its line size and its nodes.

use rustc_hash::FxHashMap;

use super::error::ReportError;
use super::groups::GroupBy;
use super::heap::HeapObjects;
use super::names::{NameOptions, Names};
use super::taken;
use super::warning::Warning;
use crate::access::PerfVersion;
use crate::lines::{Filter, Identity, LineSize, Survey, SurveyOptions};
use crate::perf_data::{
    AttrFlags, Damage, Event, Lost, LostSamples, RecordType, Recording, SampleType,
};
use crate::process::{Cores, Cpu, Node, Processes, Time};
use crate::system::parse_cpu_list;

/// What a report is about, and where its names come from.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// Which samples count.
    pub filter: Filter,
    /// Whose rules perf's counters follow.
    pub version: PerfVersion,
    /// Line size; from the recording when `None`.
    pub line_size: Option<LineSize>,
    /// Whether lines are taken in pairs.
    pub double_lines: bool,
    /// Whether to list every line.
    pub show_all: bool,
    /// What lines are summed by.
    pub group_by: GroupBy,
    /// Whether callers are wanted.
    pub call_graph: bool,
    /// Where names come from.
    pub names: NameOptions,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            version: PerfVersion::NEWEST,
            line_size: None,
            double_lines: false,
            show_all: false,
            group_by: GroupBy::default(),
            call_graph: false,
            names: NameOptions::default(),
        }
    }
}

/// Told how many samples were done; there are two passes over all samples.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

pub(super) struct Session<'r, 'a> {
    pub(super) recording: &'r Recording<'a>,
    pub(super) processes: Processes,
    pub(super) options: &'r ReportOptions,
    pub(super) line_size: LineSize,
    pub(super) line_size_is_known: bool,
    pub(super) node_of_cpu: FxHashMap<Cpu, Node>,
    pub(super) cores: Cores,
    /// What was allocated, where that was traced.
    pub(super) heap: Option<HeapObjects>,
}

impl<'r, 'a> Session<'r, 'a> {
    pub(super) fn new(recording: &'r Recording<'a>, options: &'r ReportOptions) -> Self {
        let told = options.line_size.or_else(|| LineSize::of_recording(recording.features()));
        let base = told.unwrap_or(LineSize::DEFAULT);
        let nodes = recording.features().numa_nodes.iter().flatten();
        Self {
            recording,
            processes: Processes::of(recording),
            options,
            line_size: if options.double_lines { base.doubled() } else { base },
            line_size_is_known: told.is_some(),
            node_of_cpu: nodes
                .flat_map(|node| node.cpus.iter().map(|&cpu| (Cpu(cpu), Node(node.id))))
                .collect(),
            cores: cores(recording),
            heap: HeapObjects::of(recording),
        }
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        Identity::new(&self.processes, self.line_size)
    }

    /// How to look at the samples: with our own lines kept, or with perf's alone.
    pub(super) fn survey_options(&self, own_lines: bool) -> SurveyOptions {
        SurveyOptions {
            filter: self.options.filter.clone(),
            version: self.options.version,
            own_lines,
            all_perf_lines: !own_lines && self.options.show_all,
        }
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names::new(self.recording, &self.processes, self.options.names.clone())
    }

    /// The first pass, or why there is nothing to report.
    pub(super) fn survey(
        &self,
        identity: &Identity<'_>,
        options: &SurveyOptions,
        progress: Progress<'_>,
    ) -> Result<Survey, ReportError> {
        self.check()?;
        let survey = Survey::of(self.recording, identity, options, progress);
        let samples = self.recording.sample_count();
        if !options.filter.is_empty() && survey.event_accesses.iter().all(|n| *n == 0) {
            let accepted = survey.accepted;
            return Err(ReportError::AllFiltered { accepted, samples });
        }
        if survey.event_accesses.iter().all(|n| *n == 0) {
            return Err(ReportError::no_memory_accesses(self.recording, &survey.event_samples));
        }
        Ok(survey)
    }

    /// Whether there are samples, with what the filter asks for.
    pub(super) fn check(&self) -> Result<(), ReportError> {
        if self.recording.sample_count() == 0 {
            return Err(ReportError::no_samples(self.recording));
        }
        let filter = &self.options.filter;
        if (filter.from.is_some() || filter.to.is_some()) && !self.recording.has_times() {
            return Err(ReportError::NotRecorded { what: "times", option: "--time" });
        }
        let has_cpu = |event: &Event| event.attr.sample_type.contains(SampleType::CPU);
        if !filter.cpus.is_empty() && !self.recording.events().iter().any(has_cpu) {
            return Err(ReportError::NotRecorded { what: "CPUs", option: "--cpu" });
        }
        Ok(())
    }

    /// Records that were lost while recording. Rings tell of lost records of all kinds, events of
    /// their lost samples: the same losses, seen from two sides.
    pub(super) fn lost(&self) -> u64 {
        let heap_ids = self.heap.as_ref().map(HeapObjects::event_ids);
        let (mut in_rings, mut of_events) = (0u64, 0u64);
        for (_, record) in self.recording.other_records() {
            let mut cursor = record.cursor();
            match record.kind {
                RecordType::LOST => {
                    let lost = Lost::decode(&mut cursor).unwrap_or_default();
                    // What was lost of the heap is told apart.
                    let is_of_heap = heap_ids.is_some_and(|ids| ids.contains(&lost.id));
                    let lost = if is_of_heap { 0 } else { lost.lost };
                    in_rings = in_rings.saturating_add(lost);
                }
                RecordType::LOST_SAMPLES => {
                    let lost = LostSamples::decode(&mut cursor).map_or(0, |lost| lost.lost);
                    of_events = of_events.saturating_add(lost);
                }
                _ => {}
            }
        }
        in_rings.max(of_events)
    }

    /// What is wrong with the recording, or missing in it, when it has memory samples.
    pub(super) fn warnings(&self, survey: &Survey, names: &Names<'_>) -> Vec<Warning> {
        let totals = &survey.totals;
        let mut warnings = self.damage(survey.malformed, survey.unknown_event);
        let mut warn_if = |condition: bool, warning: Warning| {
            if condition {
                warnings.push(warning);
            }
        };
        warn_if(survey.without_cpu > 0, Warning::NoCpu { samples: survey.without_cpu });
        warn_if(totals.load == 0 && totals.store > 0, Warning::NoLoads { stores: totals.store });
        warn_if(totals.load > 0 && survey.with_latency == 0, Warning::NoLatency);
        let of = totals.load + totals.store;
        let has_data_mappings = self.has_data_mappings();
        warn_if(
            survey.unmapped * 10 > of,
            Warning::Unmapped { samples: survey.unmapped, of, has_data_mappings },
        );
        warnings.extend(self.gaps(survey.times, survey.without_cpu == 0, names));
        warnings
    }

    /// What is wrong with the recording.
    pub(super) fn damage(&self, malformed: u64, unknown_event: u64) -> Vec<Warning> {
        let (kind, offset) = (RecordType::SAMPLE, 0);
        let malformed = Damage::Malformed { kind, offset, count: malformed };
        let unknown = Damage::UnknownEventId { offset, count: unknown_event };
        let found = self.recording.damage().iter().chain(self.processes.damage()).cloned();
        let in_samples = [malformed, unknown].into_iter().filter(|damage| match damage {
            Damage::Malformed { count, .. } | Damage::UnknownEventId { count, .. } => *count > 0,
            _ => true,
        });
        let mut warnings: Vec<Warning> = found.chain(in_samples).map(Warning::Damaged).collect();
        let (lost, throttled) = (self.lost(), self.count(RecordType::THROTTLE));
        let recorder = self.recording.features().version.as_deref();
        let by_hitm = recorder.is_some_and(|version| version.starts_with("hitm "));
        if lost > 0 {
            warnings.push(Warning::Lost { records: lost, by_hitm });
        }
        if throttled > 0 {
            warnings.push(Warning::Throttled { times: throttled, by_hitm });
        }
        warnings
    }

    /// What is missing in the recording and around it.
    pub(super) fn gaps(
        &self,
        times: Option<(Time, Time)>,
        has_cpus: bool,
        names: &Names<'_>,
    ) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn_if = |condition: bool, warning: Warning| {
            if condition {
                warnings.push(warning);
            }
        };
        warn_if(
            !self.line_size_is_known,
            Warning::AssumedLineSize { bytes: self.line_size.bytes() },
        );
        warn_if(
            self.recording.features().numa_nodes.is_none() && has_cpus,
            Warning::NoNumaTopology,
        );
        let has_chains = |event: &Event| event.attr.sample_type.contains(SampleType::CALLCHAIN);
        let chains = self.recording.events().iter().any(has_chains);
        warn_if(self.options.call_graph && !chains, Warning::NoCallChains);
        let unknown: u64 = self
            .recording
            .counts()
            .iter()
            .filter(|(kind, _)| kind.name().is_none())
            .map(|(_, count)| *count)
            .sum();
        warn_if(unknown > 0, Warning::UnknownRecords { records: unknown });
        let aux = self.count(RecordType::AUXTRACE);
        warn_if(aux > 0, Warning::AuxData { records: aux });
        let duration = times.map_or(0, |(first, last)| last.0.saturating_sub(first.0));
        warnings.extend(taken::warnings(self.recording, duration));
        warnings.extend(self.heap.iter().flat_map(|heap| heap.warnings(times)));
        warnings.extend(names.problems().into_iter().map(|problem| Warning::Names { problem }));
        warnings
    }

    fn count(&self, kind: RecordType) -> u64 {
        self.recording.counts().get(&kind).copied().unwrap_or(0)
    }

    /// Entries and returns of allocation functions that were traced.
    pub(super) fn heap_samples(&self) -> u64 {
        self.heap.as_ref().map_or(0, HeapObjects::samples)
    }

    /// Whether mappings of data were asked for, and not only those of code.
    pub(super) fn has_data_mappings(&self) -> bool {
        let mmap_data = |event: &Event| event.attr.flags.contains(AttrFlags::MMAP_DATA);
        self.recording.events().iter().any(mmap_data)
    }
}

/// The machine's cores, as far as the recording tells them.
fn cores(recording: &Recording<'_>) -> Cores {
    let topology = recording.features().cpu_topology.iter();
    Cores::new(topology.flat_map(|it| &it.cores).filter_map(|list| parse_cpu_list(list).ok()))
}
