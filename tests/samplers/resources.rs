//! What a recording takes on a large server.

use std::path::Path;
use std::process::{Command, Stdio};

use hitm::sampling::{
    Demand, Resources, SamplerKind, SamplerOptions, Shortage, default_data_pages, lockable_bytes,
    plan,
};
use hitm::system::{Machine, nodes};

use crate::support::fixture_machine::{unpack, unprivileged};
use crate::support::skipped::skipped;

#[test]
fn a_server_of_448_cpus_and_8_nodes() {
    let machine = unprivileged("eight-sockets", 0);
    assert_eq!(machine.online_cpus.len(), 448);
    let root = unpack("eight-sockets");
    let nodes = nodes(root.path());
    assert_eq!(nodes.iter().map(|node| node.cpus.len()).collect::<Vec<_>>(), [56; 8]);
    assert_eq!((nodes[7].cpus[0], nodes[7].cpus[55]), (196, 447));

    let events =
        plan(SamplerKind::Pebs, &machine, &SamplerOptions::default()).expect("a plan").events;
    let permissions = &machine.permissions;
    let demand = Demand {
        cpus: 448,
        threads: 1,
        events: events.len() as u32,
        data_pages: default_data_pages(permissions, 4096),
        aux_bytes: 0,
        page_size: 4096,
        other_descriptors: 16,
    };
    // Loads, stores and the dummy; 129 pages of 4 KiB are 516 KiB, all of each CPU's share.
    let expected =
        Resources { descriptors: 448 * 3 + 16, buffers: 448, locked_bytes: 448 * 516 * 1024 };
    assert_eq!(demand.resources(), expected);
    assert_eq!(lockable_bytes(permissions, 448), Some(448 * 516 * 1024 + 8 * 1024 * 1024));
    assert_eq!(demand.shortages(permissions, 448), []);

    // Twice the buffers: what is beyond the share would have to be within RLIMIT_MEMLOCK.
    let doubled = Demand { data_pages: 256, ..demand };
    assert_eq!(
        doubled.shortages(permissions, 448)[0].to_string(),
        "448 ring buffers need 460544 KiB of locked memory and 239360 KiB are allowed \
         (kernel.perf_event_mlock_kb 516 for each of 448 CPUs, and 8192 KiB by RLIMIT_MEMLOCK); \
         record with --mmap-pages 128, or raise the limit: ulimit -l 229376 as root, or run with \
         CAP_IPC_LOCK"
    );
    // The advice is enough, to the KiB.
    let mut raised = permissions.clone();
    raised.locked_memory_limit = Some(229_376 << 10);
    assert_eq!(doubled.shortages(&raised, 448), []);
    raised.locked_memory_limit = Some(229_375 << 10);
    assert_eq!(doubled.shortages(&raised, 448).len(), 1);
    assert_eq!(Demand { data_pages: 128, ..doubled }.shortages(permissions, 448), []);
}

#[test]
fn a_process_of_many_threads_there() {
    let machine = unprivileged("eight-sockets", 0);
    let demand = Demand {
        cpus: 448,
        threads: 200,
        events: 2,
        data_pages: 1,
        aux_bytes: 0,
        page_size: 4096,
        other_descriptors: 16,
    };
    let found = demand.shortages(&machine.permissions, 448);
    assert_eq!(
        found[0].to_string(),
        "2 events on 448 CPUs for 200 threads need 179216 file descriptors and this process may have \
         4096; record the whole system with -a, which needs 912, or raise the limit: prlimit \
         --nofile=179216 --pid $$ as root"
    );
    // 89 600 buffers of two pages need 700 MiB.
    assert!(matches!(
        found[1],
        Shortage::LockedMemory { buffers: 89_600, needed_kib: 716_800, allowed_kib: 239_360, .. }
    ));
    // Fewer CPUs are all that helps where even one thread is too much.
    let many = Demand { threads: 1, events: 10, ..demand };
    let text = many.shortages(&machine.permissions, 448)[0].to_string();
    assert!(text.contains("need 4496 file descriptors") && text.contains("-C"), "{text}");
}

#[test]
fn spe_buffers_count() {
    let machine = unprivileged("neoverse-n1", 2);
    let plan = plan(SamplerKind::Spe, &machine, &SamplerOptions::default()).expect("a plan");
    let demand = Demand {
        cpus: 4,
        threads: 1,
        events: 2,
        data_pages: 64,
        aux_bytes: plan.events[0].aux_bytes.expect("a buffer"),
        page_size: 4096,
        other_descriptors: 16,
    };
    // 64 + 1 + 32 pages: within 516 KiB.
    assert_eq!(demand.resources().locked_bytes, 4 * 97 * 4096);
    assert_eq!(demand.shortages(&machine.permissions, 4), []);
}

/// The oracle: perf as a user without rights, with one buffer for each CPU, around the very page at
/// which this kernel starts to refuse.
#[test]
fn locked_memory_ends_where_this_kernel_ends_it() {
    let machine = Machine::read(Path::new("/"));
    let online = machine.online_cpus.len() as u32;
    let mut user = machine.permissions.clone();
    user.capabilities = 0;
    let pages = default_data_pages(&user, 4096);
    // Twice the pages of the share: what is beyond it must be within the limit, to the page.
    let share_kib = user.mlock_kib.unwrap_or(516) * u64::from(online);
    let beyond_kib = (2 * pages + 1) * 4 * u64::from(online) - share_kib;
    let mut outcomes = Vec::new();
    for (data_pages, limit_kib) in
        [(pages, 0), (2 * pages, 0), (2 * pages, beyond_kib - 4), (2 * pages, beyond_kib)]
    {
        user.locked_memory_limit = Some(limit_kib << 10);
        let demand = Demand {
            cpus: online,
            threads: 1,
            events: 1,
            data_pages,
            aux_bytes: 0,
            page_size: 4096,
            other_descriptors: 0,
        };
        let allowed = demand.shortages(&user, online).is_empty();
        let status = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"])
            .args(["prlimit", &format!("--memlock={}", limit_kib << 10)])
            .args(["perf", "record", "-q", "-e", "cpu-clock:u", "-o", "/dev/null"])
            .args(["-m", &data_pages.to_string(), "--", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let Some(opens) = status.ok().map(|status| status.success()) else {
            return skipped("setpriv is not here");
        };
        if outcomes.is_empty() && !opens {
            return skipped("perf does not record as a user without rights here");
        }
        assert_eq!(allowed, opens, "{data_pages} pages, {limit_kib} KiB by RLIMIT_MEMLOCK");
        outcomes.push(opens);
    }
    assert_eq!(outcomes, [true, false, false, true]);
}
