//! No machine has a CPU of such a number: what names one is damage, whatever the format. Behind here a CPU
//! number may be an index.

use super::Reader;
use super::error::{Damage, Place, ReadError};
use crate::capabilities::Header;
use crate::event::{Event, Kind};

/// CPUs that a recording may number: eight times what any kernel can be built for (`CONFIG_NR_CPUS`).
const MOST_CPUS: u32 = 1 << 16;

/// A reader without its impossible events.
pub(super) struct Plausible {
    inner: Box<dyn Reader>,
    /// All damage: of the inner reader, and what was left out here.
    damage: Damage,
    left_out: Damage,
}

impl Plausible {
    pub(super) fn new(inner: Box<dyn Reader>) -> Self {
        let damage = inner.damage().clone();
        Self { inner, damage, left_out: Damage::default() }
    }

    fn renew_damage(&mut self) {
        let inner = self.inner.damage();
        let skipped = inner.skipped + self.left_out.skipped;
        if skipped != self.damage.skipped {
            let first = inner.first.as_ref().or(self.left_out.first.as_ref()).cloned();
            self.damage = Damage { skipped, first };
        }
    }
}

impl Reader for Plausible {
    fn header(&self) -> &Header {
        self.inner.header()
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        let event = loop {
            match self.inner.next_event() {
                Ok(Some(event)) => match impossible_cpu(&event) {
                    None => break Ok(Some(event)),
                    Some(cpu) => {
                        let at = Place::Byte(self.inner.progress().0);
                        self.left_out.add(at, format!("an event names CPU {cpu}"));
                    }
                },
                end => break end,
            }
        };
        self.renew_damage();
        event
    }

    fn skip_to(&mut self, ts_ns: u64) -> Result<(), ReadError> {
        self.inner.skip_to(ts_ns)
    }

    fn progress(&self) -> (u64, u64) {
        self.inner.progress()
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// A CPU that the event names and no machine has.
fn impossible_cpu(event: &Event) -> Option<u32> {
    let named = match &event.kind {
        Kind::Wake { target, .. } => [*target, None],
        Kind::Migrate { from, to, .. } => [*from, Some(*to)],
        Kind::Loss { of_cpu, .. } => [*of_cpu, None],
        _ => [None, None],
    };
    std::iter::once(event.cpu).chain(named.into_iter().flatten()).find(|cpu| *cpu >= MOST_CPUS)
}
