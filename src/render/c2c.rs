//! `--format c2c`: the layout of `perf c2c report --stdio`.

use std::io::{self, Write};

use super::clean::clean;
use crate::access::C2cStats;
use crate::lines::{C2cRow, Coalesce, Display, NodeShare, PhysicalPlace};
use crate::perf_data::{CpuMode, format_cpu_list};
use crate::process::{Cpu, Node};
use crate::report::{C2cReport, NamedLine, NamedRow};

/// What of it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct C2cStyle {
    /// 0 node numbers, 1 with counts and shares, 2 with CPU lists.
    pub node_info: u8,
    /// Whether long names stay whole.
    pub full_symbols: bool,
    /// Whether there is a source column.
    pub source: bool,
    /// Whether to stop after the totals.
    pub stats_only: bool,
    /// Whether callers follow each row.
    pub callers: bool,
}

/// perf cuts names to so many characters.
const NAME_WIDTH: usize = 30;

/// Writes the report.
///
/// # Errors
///
/// What the writer answers.
pub fn c2c(report: &C2cReport, style: &C2cStyle, out: &mut dyn Write) -> io::Result<()> {
    totals(&report.totals, out)?;
    writeln!(out)?;
    shared(report, out)?;
    writeln!(out)?;
    details(report, out)?;
    if style.stats_only {
        return Ok(());
    }
    writeln!(out)?;
    line_table(report, out)?;
    writeln!(out)?;
    pareto(report, style, out)
}

fn banner(title: &str, out: &mut dyn Write) -> io::Result<()> {
    let rule = "=".repeat(49);
    writeln!(out, "{rule}\n{title:<49}\n{rule}")
}

fn totals(stats: &C2cStats, out: &mut dyn Write) -> io::Result<()> {
    banner("            Trace Event Information", out)?;
    let misses = stats.llc_misses();
    let count =
        |out: &mut dyn Write, label: &str, value: u64| writeln!(out, "  {label:<34}: {value:>10}");
    let share = |out: &mut dyn Write, label: &str, value: u64| {
        // perf divides by zero here and prints what the C library makes of it.
        match misses {
            0 => writeln!(out, "  {label:<34}: {:>10}%", "-nan"),
            _ => writeln!(out, "  {label:<34}: {:>10.1}%", percent_of_all(value, misses)),
        }
    };
    count(out, "Total records", stats.nr_entries)?;
    count(out, "Locked Load/Store Operations", stats.locks)?;
    count(out, "Load Operations", stats.load)?;
    count(out, "Loads - uncacheable", stats.ld_uncache)?;
    count(out, "Loads - IO", stats.ld_io)?;
    count(out, "Loads - Miss", stats.ld_miss)?;
    count(out, "Loads - no mapping", stats.ld_noadrs)?;
    count(out, "Load Fill Buffer Hit", stats.ld_fbhit)?;
    count(out, "Load L1D hit", stats.ld_l1hit)?;
    count(out, "Load L2D hit", stats.ld_l2hit)?;
    count(out, "Load LLC hit", stats.ld_llchit + stats.lcl_hitm)?;
    count(out, "Load Local HITM", stats.lcl_hitm)?;
    count(out, "Load Remote HITM", stats.rmt_hitm)?;
    count(out, "Load Remote HIT", stats.rmt_hit)?;
    count(out, "Load Local DRAM", stats.lcl_dram)?;
    count(out, "Load Remote DRAM", stats.rmt_dram)?;
    count(out, "Load MESI State Exclusive", stats.ld_excl)?;
    count(out, "Load MESI State Shared", stats.ld_shared)?;
    count(out, "Load LLC Misses", misses)?;
    count(out, "Load access blocked by data", stats.blk_data)?;
    count(out, "Load access blocked by address", stats.blk_addr)?;
    count(out, "Load HIT Local Peer", stats.lcl_peer)?;
    count(out, "Load HIT Remote Peer", stats.rmt_peer)?;
    share(out, "LLC Misses to Local DRAM", stats.lcl_dram)?;
    share(out, "LLC Misses to Remote DRAM", stats.rmt_dram)?;
    share(out, "LLC Misses to Remote cache (HIT)", stats.rmt_hit)?;
    share(out, "LLC Misses to Remote cache (HITM)", stats.rmt_hitm)?;
    count(out, "Store Operations", stats.store)?;
    count(out, "Store - uncacheable", stats.st_uncache)?;
    count(out, "Store - no mapping", stats.st_noadrs)?;
    count(out, "Store L1D Hit", stats.st_l1hit)?;
    count(out, "Store L1D Miss", stats.st_l1miss)?;
    count(out, "Store No available memory level", stats.st_na)?;
    count(out, "No Page Map Rejects", stats.nomap)?;
    count(out, "Unable to parse data source", stats.noparse)
}

fn shared(report: &C2cReport, out: &mut dyn Write) -> io::Result<()> {
    banner("    Global Shared Cache Line Event Information", out)?;
    let stats = &report.shared;
    for (label, value) in [
        ("Total Shared Cache Lines", report.shared_lines),
        ("Load HITs on shared lines", stats.load),
        ("Fill Buffer Hits on shared lines", stats.ld_fbhit),
        ("L1D hits on shared lines", stats.ld_l1hit),
        ("L2D hits on shared lines", stats.ld_l2hit),
        ("LLC hits on shared lines", stats.ld_llchit + stats.lcl_hitm),
        ("Load hits on peer cache or nodes", stats.lcl_peer + stats.rmt_peer),
        ("Locked Access on shared lines", stats.locks),
        ("Blocked Access on shared lines", stats.blk_data + stats.blk_addr),
        ("Store HITs on shared lines", stats.store),
        ("Store L1D hits on shared lines", stats.st_l1hit),
        ("Store No available memory level", stats.st_na),
        ("Total Merged records", stats.lcl_hitm + stats.rmt_hitm + stats.store),
    ] {
        writeln!(out, "  {label:<34}: {value:>10}")?;
    }
    Ok(())
}

fn details(report: &C2cReport, out: &mut dyn Write) -> io::Result<()> {
    banner("                 c2c details", out)?;
    for (index, event) in report.events.iter().enumerate() {
        let label = if index == 0 { "Events" } else { "" };
        writeln!(out, "  {label:<34}: {}", clean(event))?;
    }
    let sort = match report.display {
        Display::Tot => "Total HITMs",
        Display::Lcl => "Local HITMs",
        Display::Rmt => "Remote HITMs",
        Display::Peer => "Peer Snoop",
    };
    let keys: Vec<_> = report.coalesce.iter().map(|key| token(*key)).collect();
    writeln!(out, "  {:<34}: {sort}", "Cachelines sort on")?;
    writeln!(out, "  {:<34}: offset,{}", "Cacheline data grouping", keys.join(","))
}

fn token(key: Coalesce) -> &'static str {
    match key {
        Coalesce::Pid => "pid",
        Coalesce::Tid => "tid",
        Coalesce::Iaddr => "iaddr",
        Coalesce::Dso => "dso",
    }
}

/// A column: what stands over it, and the cell of each row. `span` columns share the first line.
struct Column {
    over: &'static str,
    span: usize,
    name: String,
    width: usize,
    left: bool,
    cells: Vec<String>,
}

impl Column {
    fn new(over: &'static str, span: usize, name: &str, width: usize) -> Self {
        Self { over, span, name: name.to_owned(), width, left: false, cells: Vec::new() }
    }

    fn left(self) -> Self {
        Self { left: true, ..self }
    }

    /// Grows with its cells.
    fn fit(mut self) -> Self {
        let widest = self.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        self.width = self.width.max(widest);
        self
    }
}

/// The header's lines over some columns.
fn header(columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
    let (mut over, mut names, mut dots) = (Vec::new(), Vec::new(), Vec::new());
    let mut index = 0;
    while let Some(column) = columns.get(index) {
        let group = &columns[index..(index + column.span.max(1)).min(columns.len())];
        let width = group.iter().map(|column| column.width + 2).sum::<usize>() - 2;
        over.push(format!("{:>width$}", column.over));
        for column in group {
            names.push(format!("{:>width$}", column.name, width = column.width));
            dots.push(".".repeat(column.width));
        }
        index += group.len();
    }
    let line = |parts: Vec<String>| format!("# {}", parts.join("  ").trim_end());
    writeln!(out, "#\n{}\n{}\n{}\n#", line(over), line(names), line(dots))
}

fn row(columns: &[Column], index: usize, out: &mut dyn Write) -> io::Result<()> {
    let cells = columns.iter().map(|column| {
        let cell = column.cells.get(index).map(String::as_str).unwrap_or_default();
        match column.left {
            true => format!("{cell:<width$}", width = column.width),
            false => format!("{cell:>width$}", width = column.width),
        }
    });
    writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
}

/// A share of the whole recording. perf divides first here, and multiplies first in
/// [`percent_of_line`]: which decides how halves are rounded.
fn percent_of_all(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// A share of one line or row.
fn percent_of_line(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

fn memory_nodes(place: &PhysicalPlace) -> String {
    if place.nodes.is_empty() {
        return "N/A".to_owned();
    }
    let nodes: Vec<u32> = place.nodes.iter().map(|&node| node as u32).collect();
    format_cpu_list(&nodes)
}

fn line_table(report: &C2cReport, out: &mut dyn Write) -> io::Result<()> {
    banner("           Shared Data Cache Line Table", out)?;
    let is_peer = report.display == Display::Peer;
    let (ranked, over) = match report.display {
        Display::Tot => ("Tot", "Hitm"),
        Display::Lcl => ("Lcl", "Hitm"),
        Display::Rmt => ("Rmt", "Hitm"),
        Display::Peer => ("Peer", "Snoop"),
    };
    let mut columns = vec![
        Column::new("", 1, "Index", 5),
        Column::new("----------- Cacheline ----------", 3, "Address", 18),
        Column::new("", 1, "Node", 4),
        Column::new("", 1, "PA cnt", 6),
        Column::new(ranked, 1, over, 7),
        Column::new(
            if is_peer { "------- Load Peer -------" } else { "------- Load Hitm -------" },
            3,
            "Total",
            7,
        ),
        Column::new("", 1, if is_peer { "Local" } else { "LclHitm" }, 7),
        Column::new("", 1, if is_peer { "Remote" } else { "RmtHitm" }, 7),
        Column::new("Total", 1, "records", 7),
        Column::new("Total", 1, "Loads", 7),
        Column::new("Total", 1, "Stores", 7),
        Column::new("--------- Stores --------", 3, "L1Hit", 7),
        Column::new("", 1, "L1Miss", 7),
        Column::new("", 1, "N/A", 7),
        Column::new("----- Core Load Hit -----", 3, "FB", 7),
        Column::new("", 1, "L1", 7),
        Column::new("", 1, "L2", 7),
        Column::new("- LLC Load Hit --", 2, "LclHit", 8),
        Column::new("", 1, "LclHitm", 7),
        Column::new("- RMT Load Hit --", 2, "RmtHit", 8),
        Column::new("", 1, "RmtHitm", 7),
        Column::new("--- Load Dram ----", 2, "Lcl", 8),
        Column::new("", 1, "Rmt", 8),
    ];
    let whole = report.display.metric(&report.totals);
    for (index, NamedLine { line, .. }) in report.lines.iter().enumerate() {
        let stats = &line.stats;
        let (local, remote) = match is_peer {
            true => (stats.lcl_peer, stats.rmt_peer),
            false => (stats.lcl_hitm, stats.rmt_hitm),
        };
        let mut cells = vec![
            index.to_string(),
            format!("{:#x}", line.address.0),
            memory_nodes(&line.place),
            line.place.changes.to_string(),
            format!("{:.2}%", percent_of_all(report.display.metric(stats), whole)),
        ];
        let numbers = [
            local + remote,
            local,
            remote,
            stats.total_records(),
            stats.total_loads(),
            stats.store,
            stats.st_l1hit,
            stats.st_l1miss,
            stats.st_na,
            stats.ld_fbhit,
            stats.ld_l1hit,
            stats.ld_l2hit,
            stats.ld_llchit,
            stats.lcl_hitm,
            stats.rmt_hit,
            stats.rmt_hitm,
            stats.lcl_dram,
            stats.rmt_dram,
        ];
        cells.extend(numbers.iter().map(u64::to_string));
        columns.iter_mut().zip(cells).for_each(|(column, cell)| column.cells.push(cell));
    }
    header(&columns, out)?;
    (0..report.lines.len()).try_for_each(|index| row(&columns, index, out))
}

fn pareto(report: &C2cReport, style: &C2cStyle, out: &mut dyn Write) -> io::Result<()> {
    banner("      Shared Cache Line Distribution Pareto", out)?;
    if report.lines.is_empty() {
        // perf takes the columns from the first line.
        return writeln!(out, "#");
    }
    let rows: Vec<(&NamedLine, &NamedRow)> =
        report.lines.iter().flat_map(|line| line.rows.iter().map(move |row| (line, row))).collect();
    let columns = pareto_columns(report, style, &rows);
    header(&columns, out)?;
    let is_peer = report.display == Display::Peer;
    let rule = "-".repeat(70);
    let mut next = 0;
    for (index, NamedLine { line, rows }) in report.lines.iter().enumerate() {
        let stats = &line.stats;
        let (remote, local) = match is_peer {
            true => (stats.rmt_peer, stats.lcl_peer),
            false => (stats.rmt_hitm, stats.lcl_hitm),
        };
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "  {rule}")?;
        writeln!(
            out,
            "  {index:>5}  {remote:>7}  {local:>7}  {:>7}  {:>7}  {:>7}  {:>18}",
            stats.st_l1hit,
            stats.st_l1miss,
            stats.st_na,
            format!("{:#x}", line.address.0)
        )?;
        writeln!(out, "  {rule}")?;
        for named in rows {
            row(&columns, next, out)?;
            next += 1;
            if style.callers {
                callers(named, out)?;
            }
        }
    }
    Ok(())
}

fn callers(named: &NamedRow, out: &mut dyn Write) -> io::Result<()> {
    for chain in &named.callers {
        let frames: Vec<_> = chain.frames.iter().map(|frame| clean(frame)).collect();
        writeln!(out, "            {} samples from {}", chain.samples, frames.join(" < "))?;
    }
    Ok(())
}

fn pareto_columns(
    report: &C2cReport,
    style: &C2cStyle,
    rows: &[(&NamedLine, &NamedRow)],
) -> Vec<Column> {
    let is_peer = report.display == Display::Peer;
    let has = |key| report.coalesce.contains(&key);
    let local = |stats: &C2cStats| if is_peer { stats.lcl_peer } else { stats.lcl_hitm };
    let remote = |stats: &C2cStats| if is_peer { stats.rmt_peer } else { stats.rmt_hitm };
    let mut columns: Vec<Column> = Vec::new();
    let mut add = |column: Column, cell: &dyn Fn(&NamedLine, &NamedRow) -> String| {
        let cells = rows.iter().map(|(line, row)| cell(line, row)).collect();
        columns.push(Column { cells, ..column });
    };
    let share = |count: &dyn Fn(&C2cStats) -> u64, line: &NamedLine, row: &NamedRow| {
        let percent = percent_of_line(count(&row.row.stats), count(&line.line.stats));
        format!("{percent:.2}%")
    };
    let (over, first, second) = match is_peer {
        true => ("-- Peer Snoop --", "Rmt", "Lcl"),
        false => ("----- HITM -----", "RmtHitm", "LclHitm"),
    };
    add(Column::new("", 1, "Num", 5), &|_, _| String::new());
    add(Column::new(over, 2, first, 7), &|line, row| share(&remote, line, row));
    add(Column::new("", 1, second, 7), &|line, row| share(&local, line, row));
    add(Column::new("------- Store Refs ------", 3, "L1 Hit", 7), &|line, row| {
        share(&|s| s.st_l1hit, line, row)
    });
    add(Column::new("", 1, "L1 Miss", 7), &|line, row| share(&|s| s.st_l1miss, line, row));
    add(Column::new("", 1, "N/A", 7), &|line, row| share(&|s| s.st_na, line, row));
    add(Column::new("--------- Data address ---------", 3, "Offset", 18), &|_, row| {
        format!("{:#x}", row.row.offset.0)
    });
    add(Column::new("", 1, "Node", 4), &|_, row| memory_nodes(&row.row.place));
    add(Column::new("", 1, "PA cnt", 6), &|_, row| row.row.place.changes.to_string());
    if has(Coalesce::Pid) {
        add(Column::new("", 1, "Pid", 7), &|_, row| (row.row.pid.0 as i32).to_string());
    }
    if has(Coalesce::Tid) {
        add(Column::new("", 1, "Tid", 13), &|_, row| {
            let tid = row.row.tid.0 as i32;
            // perf knows the name of the idle task without a record, and makes up others.
            let made_up = if tid == 0 { "swapper".to_owned() } else { format!(":{tid}") };
            let name = row.comm.as_deref().unwrap_or(&made_up);
            format!("{tid:>5}:{:<7}", clean(name))
        });
    }
    if has(Coalesce::Iaddr) {
        add(Column::new("", 1, "Code address", 18), &|_, row| {
            format!("{:#x}", row.row.code.address.0)
        });
    }
    let (first, second) = if is_peer { ("rmt peer", "lcl peer") } else { ("rmt hitm", "lcl hitm") };
    let mean = |value: f64| format!("{value:.0}");
    add(Column::new("---------- cycles ----------", 3, first, 8), &|_, row| {
        let cycles = &row.row.cycles;
        mean(if is_peer { cycles.rmt_peer.mean() } else { cycles.rmt_hitm.mean() })
    });
    add(Column::new("", 1, second, 8), &|_, row| {
        let cycles = &row.row.cycles;
        mean(if is_peer { cycles.lcl_peer.mean() } else { cycles.lcl_hitm.mean() })
    });
    add(Column::new("", 1, "load", 8), &|_, row| mean(row.row.cycles.load.mean()));
    add(Column::new("Total", 1, "records", 7), &|_, row| row.row.stats.total_records().to_string());
    add(Column::new("cpu", 1, "cnt", 8), &|_, row| row.row.cpus.len().to_string());
    let cut = |text: String| match style.full_symbols {
        true => text,
        false => text.chars().take(NAME_WIDTH).collect(),
    };
    if has(Coalesce::Iaddr) {
        add(Column::new("", 1, "Symbol", 22).left(), &|_, row| cut(symbol(row)));
    }
    if has(Coalesce::Iaddr) || has(Coalesce::Dso) {
        add(Column::new("Shared", 1, "Object", 16).left(), &|_, row| object(row));
    }
    if has(Coalesce::Iaddr) && style.source {
        add(Column::new("", 1, "Source:Line", 11).left(), &|_, row| cut(source(row)));
    }
    let node_header = match (style.node_info, is_peer) {
        (0, _) => "Node",
        (1, false) => "Node{cpus %hitms %stores}",
        (1, true) => "Node{cpus %peers %stores}",
        _ => "Node{cpu list}",
    };
    add(Column::new("", 1, node_header, 4).left(), &|_, row| {
        nodes(&row.row, report, style.node_info)
    });
    columns.into_iter().map(Column::fit).collect()
}

fn symbol(named: &NamedRow) -> String {
    let level = match named.row.code.mode {
        CpuMode::Kernel => 'k',
        CpuMode::GuestKernel => 'g',
        CpuMode::GuestUser => 'u',
        CpuMode::Hypervisor | CpuMode::Unknown => 'H',
        CpuMode::User => '.',
    };
    match &named.code.symbol {
        Some(symbol) => format!("[{level}] {}", clean(symbol)),
        None => format!(
            "[{level}] {:#018x}",
            named.code.perf_address.unwrap_or(named.row.code.address.0)
        ),
    }
}

fn object(named: &NamedRow) -> String {
    named.code.short_object.as_deref().map_or("[unknown]".into(), |name| clean(name).into_owned())
}

fn source(named: &NamedRow) -> String {
    if let Some((file, line)) = &named.code.source {
        return format!("{}:{line}", clean(file.rsplit('/').next().unwrap_or(file)));
    }
    let code = &named.code;
    match (&code.symbol, code.perf_address) {
        // What binutils' addr2line, which perf asks, says of an image without that line.
        _ if code.has_image => "??:0".to_owned(),
        (Some(symbol), _) => format!("{}+{}", clean(symbol), code.symbol_offset),
        (None, Some(address)) => format!("{}[{address:x}]", object(named)),
        (None, None) => "??:0".to_owned(),
    }
}

fn nodes(row: &C2cRow, report: &C2cReport, detail: u8) -> String {
    let numbers =
        |cpus: &mut dyn Iterator<Item = &Cpu>| -> Vec<u32> { cpus.map(|cpu| cpu.0).collect() };
    let here: Vec<&(Node, NodeShare)> =
        row.nodes.iter().filter(|(_, share)| !share.cpus.is_empty()).collect();
    match detail {
        0 => here.iter().map(|(node, _)| format!("{:2}", node.0)).collect::<Vec<_>>().join(" "),
        1 => {
            let share = |part: u64, whole: u64| match whole {
                0 => "   n/a".to_owned(),
                _ => format!("{:5.1}%", percent_of_line(part, whole)),
            };
            let metric = |stats: &C2cStats| report.display.metric(stats);
            let cell = |(node, _): &(Node, Vec<Cpu>)| {
                let found = row.nodes.iter().find(|(known, s)| known == node && !s.cpus.is_empty());
                let Some((_, part)) = found else {
                    return " ".repeat(21);
                };
                format!(
                    "{:2}{{{:2} {} {}}}",
                    node.0,
                    part.cpus.len(),
                    share(metric(&part.stats), metric(&row.stats)),
                    share(part.stats.store, row.stats.store)
                )
            };
            report.nodes.iter().map(cell).collect::<Vec<_>>().join(" ")
        }
        _ => here
            .iter()
            .map(|(node, share)| {
                let cpus = format_cpu_list(&numbers(&mut share.cpus.iter()));
                format!("{:2}{{{cpus}}}", node.0)
            })
            .collect::<Vec<_>>()
            .join(" "),
    }
}
