//! PMUs: `/sys/bus/event_source/devices/NAME` with its type, formats, events and capabilities.

use std::path::Path;

use super::cpu_list::parse_cpu_list;
use super::tree;

/// Where a PMU keeps a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigWord {
    /// `perf_event_attr.config`.
    Config,
    /// `config1`.
    Config1,
    /// `config2`.
    Config2,
    /// `config3`.
    Config3,
}

/// The bits of one setting, from a file in `format/`: `config1:0-15`, `config:0-7,21`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Name of the setting.
    pub name: String,
    /// The word that holds it.
    pub word: ConfigWord,
    /// Bit ranges, first and last bit, the value's lowest bits in the first range.
    pub bits: Vec<(u8, u8)>,
}

/// What a format or an event of a PMU cannot express.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The PMU has no such setting.
    #[error("the PMU {pmu} has no setting {name} (format/{name} is missing in sysfs)")]
    Unknown {
        /// Name of the PMU.
        pmu: String,
        /// Name of the setting.
        name: String,
    },
    /// The value needs more bits than the setting has.
    #[error("{value} is too large for {name}: the largest value is {maximum}")]
    TooLarge {
        /// Name of the setting.
        name: String,
        /// What was asked.
        value: u64,
        /// The largest value that fits.
        maximum: u64,
    },
    /// An event's text that is not `name=number,…`.
    #[error(
        "the event {event} of the PMU {pmu} is described as \"{text}\", which is not understood"
    )]
    Event {
        /// Name of the PMU.
        pmu: String,
        /// Name of the event.
        event: String,
        /// What sysfs says.
        text: String,
    },
}

/// The four words that select an event of a PMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventWords {
    /// `config`.
    pub config: u64,
    /// `config1`.
    pub config1: u64,
    /// `config2`.
    pub config2: u64,
    /// `config3`.
    pub config3: u64,
}

impl Format {
    /// Reads the content of a file in `format/`; `None` where it is not of that form or its bits are
    /// beyond 63.
    pub fn parse(name: &str, text: &str) -> Option<Self> {
        let (word, list) = text.trim().split_once(':')?;
        let word = match word {
            "config" => ConfigWord::Config,
            "config1" => ConfigWord::Config1,
            "config2" => ConfigWord::Config2,
            "config3" => ConfigWord::Config3,
            _ => return None,
        };
        let mut bits = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<u8>().ok()?, last.parse::<u8>().ok()?);
            if first > last || last > 63 {
                return None;
            }
            bits.push((first, last));
        }
        Some(Self { name: name.to_owned(), word, bits })
    }

    /// The largest value that fits.
    pub fn maximum(&self) -> u64 {
        let width: u32 = self.bits.iter().map(|(first, last)| u32::from(last - first) + 1).sum();
        1_u64.checked_shl(width).map_or(u64::MAX, |bit| bit - 1)
    }

    /// Writes a value into its bits, whatever they held.
    ///
    /// # Errors
    ///
    /// [`FormatError::TooLarge`].
    pub fn set(&self, words: &mut EventWords, value: u64) -> Result<(), FormatError> {
        let maximum = self.maximum();
        if value > maximum {
            return Err(FormatError::TooLarge { name: self.name.clone(), value, maximum });
        }
        let word = match self.word {
            ConfigWord::Config => &mut words.config,
            ConfigWord::Config1 => &mut words.config1,
            ConfigWord::Config2 => &mut words.config2,
            ConfigWord::Config3 => &mut words.config3,
        };
        let mut rest = value;
        for &(first, last) in &self.bits {
            let width = u32::from(last - first) + 1;
            let mask = 1_u64.checked_shl(width).map_or(u64::MAX, |bit| bit - 1);
            *word = *word & !(mask << first) | ((rest & mask) << first);
            rest = rest.checked_shr(width).unwrap_or(0);
        }
        Ok(())
    }
}

/// One PMU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pmu {
    /// Its name: `cpu`, `cpu_core`, `ibs_op`, `arm_spe_0`, `software`.
    pub name: String,
    /// Its number, for `perf_event_attr.type`.
    pub kind: u32,
    /// Settings, by name.
    pub formats: Vec<Format>,
    /// Named events and their texts, by name.
    pub events: Vec<(String, String)>,
    /// Capabilities and their values, by name.
    pub caps: Vec<(String, String)>,
    /// The CPUs that it has (`cpus` or `cpumask`); `None` where it does not say, which means all.
    pub cpus: Option<Vec<u32>>,
}

impl Pmu {
    /// The setting of this name.
    pub fn format(&self, name: &str) -> Option<&Format> {
        self.formats.iter().find(|format| format.name == name)
    }

    /// The text of the event of this name.
    pub fn event(&self, name: &str) -> Option<&str> {
        self.events.iter().find(|(event, _)| event == name).map(|(_, text)| text.as_str())
    }

    /// The value of a capability.
    pub fn cap(&self, name: &str) -> Option<&str> {
        self.caps.iter().find(|(cap, _)| cap == name).map(|(_, value)| value.as_str())
    }

    /// Writes a setting.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unknown`] and [`FormatError::TooLarge`].
    pub fn set(&self, words: &mut EventWords, name: &str, value: u64) -> Result<(), FormatError> {
        let unknown = || FormatError::Unknown { pmu: self.name.clone(), name: name.to_owned() };
        self.format(name).ok_or_else(unknown)?.set(words, value)
    }

    /// The words of a named event, as its text in sysfs and the formats say.
    ///
    /// # Errors
    ///
    /// [`FormatError`]; an event that the PMU does not have is [`FormatError::Unknown`].
    pub fn event_words(&self, event: &str) -> Result<EventWords, FormatError> {
        let unknown = || FormatError::Unknown { pmu: self.name.clone(), name: event.to_owned() };
        let text = self.event(event).ok_or_else(unknown)?;
        let wrong = || FormatError::Event {
            pmu: self.name.clone(),
            event: event.to_owned(),
            text: text.to_owned(),
        };
        let mut words = EventWords::default();
        for term in text.split(',') {
            // A setting without a value is a switch that is on.
            let (name, value) = term.split_once('=').unwrap_or((term, "1"));
            let value = match value.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => value.parse(),
            };
            self.set(&mut words, name.trim(), value.map_err(|_| wrong())?)?;
        }
        Ok(words)
    }
}

/// The PMUs of a machine, by name. One without a readable number cannot be opened and is left out.
pub fn pmus(root: &Path) -> Vec<Pmu> {
    let folder = root.join("sys/bus/event_source/devices");
    let names = tree::names(&folder).into_iter();
    names.filter_map(|name| read(&folder.join(&name), name)).collect()
}

fn read(folder: &Path, name: String) -> Option<Pmu> {
    let files = |subfolder: &str| {
        let path = folder.join(subfolder);
        let entries = tree::names(&path).into_iter().filter_map(|file| {
            let text = tree::text(&path, &file)?;
            Some((file, text.trim().to_owned()))
        });
        entries.collect::<Vec<_>>()
    };
    let cpus = tree::text(folder, "cpus").or_else(|| tree::text(folder, "cpumask"));
    let mut events = files("events");
    // `mem-loads.unit`, `.scale` and the like describe an event and are none.
    events.retain(|(event, _)| !event.contains('.'));
    let formats = files("format");
    Some(Pmu {
        kind: tree::number(folder, "type")?,
        formats: formats.iter().filter_map(|(name, text)| Format::parse(name, text)).collect(),
        events,
        caps: files("caps"),
        cpus: cpus.and_then(|list| parse_cpu_list(&list).ok()).filter(|cpus| !cpus.is_empty()),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_into_its_ranges_from_the_low_end() {
        let format = Format::parse("event", "config:0-7,32-35\n").expect("a format");
        assert_eq!(format.maximum(), 0xfff);
        let mut words = EventWords { config: u64::MAX, ..EventWords::default() };
        format.set(&mut words, 0xabc).expect("it fits");
        assert_eq!(words.config, 0xffff_fffa_ffff_ffbc);
        assert!(matches!(format.set(&mut words, 0x1000), Err(FormatError::TooLarge { .. })));
        let whole = Format::parse("event_filter", "config1:0-63").expect("a format");
        whole.set(&mut words, u64::MAX).expect("64 bits fit");
        assert_eq!((whole.maximum(), words.config1), (u64::MAX, u64::MAX));
    }

    #[test]
    fn what_is_no_format_is_none() {
        for text in ["", "config", "config9:0", "config:8-1", "config:64", "config:x", "ctrl:0-3"] {
            assert_eq!(Format::parse("name", text), None, "{text}");
        }
    }

    #[test]
    fn an_event_is_its_settings() {
        let format = |name, text| Format::parse(name, text).expect("a format");
        let pmu = Pmu {
            name: "cpu".into(),
            formats: vec![
                format("event", "config:0-7"),
                format("umask", "config:8-15"),
                format("inv", "config:23"),
                format("ldlat", "config1:0-15"),
            ],
            events: vec![
                ("mem-loads".into(), "event=0xcd,umask=0x1,ldlat=3,inv".into()),
                ("odd".into(), "event=many".into()),
                ("newer".into(), "event=1,eq=1".into()),
            ],
            ..Pmu::default()
        };
        let expected = EventWords { config: 0x80_01cd, config1: 3, ..EventWords::default() };
        assert_eq!(pmu.event_words("mem-loads"), Ok(expected));
        assert!(matches!(pmu.event_words("odd"), Err(FormatError::Event { .. })));
        assert!(
            matches!(pmu.event_words("newer"), Err(FormatError::Unknown { name, .. }) if name == "eq")
        );
        assert!(matches!(pmu.event_words("none"), Err(FormatError::Unknown { .. })));
    }
}
