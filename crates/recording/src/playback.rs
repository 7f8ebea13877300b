//! A recording as a source of snapshots: the same windows, tickets, audits and reports judge it as a live
//! machine.

use crate::books::{Books, Certainty};
use crate::capabilities::Header;
use crate::culprits::Culprits;
use crate::event::{Event, Kind};
use crate::gaps::Early;
use crate::lanes::Lanes;
use crate::ledger::Ledger;
use crate::life::Life;
use crate::normaliser::{Normaliser, Repairs};
use crate::reader::{Damage, ReadError, Reader};
use crate::worth::Judge;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tombola_core::frame::{Frame, Machine};
use tombola_core::identity::TaskId;
use tombola_core::snapshot::Snapshot;
use tombola_core::source::{Origin, Source};

/// A recording that is played up to an instant.
///
/// Memory is that of the living tasks and of some thousand ended ones, however long the recording is.
pub struct Playback {
    reader: Box<dyn Reader>,
    normaliser: Normaliser,
    books: Books,
    ledger: Option<Ledger>,
    lanes: Option<Lanes>,
    culprits: Option<Culprits>,
    judge: Judge,
    early: Early,
    /// The first event behind the present instant.
    next: Option<Event>,
    /// The error that ended the reading, until what was read before it is played.
    failed: Option<ReadError>,
    events: u64,
    is_over: bool,
    /// Whether that is before the end of the recording: an error or a [`Watch`] ended it.
    is_cut: bool,
    /// The instant of the latest frame, at first the begin of the span; `None` when it is over.
    seen_ns: Option<u64>,
    /// Whether the span was set.
    has_span: bool,
    /// The end of the span.
    end_ns: u64,
    /// Told now and then how far the file is read, (bytes, of bytes); false ends the recording there.
    watch: Option<Watch>,
}

/// What a playback kept beside its frames.
pub struct Kept {
    /// The machine at its end.
    pub end: Snapshot,
    /// The exact ledger, where it was kept.
    pub ledger: Option<Ledger>,
    /// Who ran where, where that was kept.
    pub lanes: Option<Lanes>,
}

/// Told how far a file is read, (bytes, of bytes); false ends the recording there.
pub type Watch = Box<dyn FnMut(u64, u64) -> bool + Send>;

/// Events between two looks of a [`Watch`].
const WATCHED_EVENTS: u64 = 1 << 14;

impl Playback {
    /// At the begin of a recording.
    pub fn new(reader: Box<dyn Reader>) -> Self {
        Self {
            normaliser: Normaliser::new(reader.header()),
            judge: Judge::new(reader.header()),
            reader,
            books: Books::default(),
            ledger: None,
            lanes: None,
            culprits: None,
            early: Early::default(),
            next: None,
            failed: None,
            events: 0,
            is_over: false,
            is_cut: false,
            seen_ns: Some(0),
            has_span: false,
            end_ns: u64::MAX,
            watch: None,
        }
    }

    /// Also keeps the exact ledger. To be called before anything is played.
    pub fn keep_ledger(&mut self) {
        self.ledger = Some(Ledger::new(self.reader.header()));
    }

    /// Has the recording end where it is when `ended` is set while the ledger divides, which may take long. A
    /// [`Watch`] that looks at the same flag does so everywhere else. To be called once the ledger is kept.
    pub fn end_by(&mut self, ended: Arc<AtomicBool>) {
        if let Some(ledger) = &mut self.ledger {
            ledger.end_by(ended);
        }
    }

    /// The exact ledger up to the latest event, if it is kept.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// Also keeps who stood in whose way, which snapshots then tell. To be called before anything is played.
    pub fn keep_culprits(&mut self) {
        self.culprits = Some(Culprits::new(self.reader.header()));
    }

    /// Also keeps who ran where in the span, in so many pieces a CPU; see [`end`](Self::end). To be called
    /// once the span is set, and before the first frame.
    pub fn keep_lanes(&mut self, most: usize) {
        self.lanes = Some(Lanes::new(self.seen_ns.unwrap_or_default(), self.end_ns, most));
    }

    /// Ends the playback where it has come to, and gives what was kept beside the frames.
    pub fn end(mut self) -> Kept {
        let is_span_over = self.has_span && self.seen_ns.is_none() && !self.is_cut && self.next.is_some();
        let until_ns = if is_span_over { self.end_ns } else { self.known_until_ns().min(self.end_ns) };
        let at_ns = until_ns.max(self.normaliser.now_ns());
        let end = self.snapshot_at(at_ns);
        self.settle_ledger(end.taken_ns);
        if let Some(lanes) = &mut self.lanes {
            // What is open goes on to there.
            self.normaliser.finish(Some(at_ns.min(self.end_ns)));
            for fact in self.normaliser.found() {
                lanes.fact(fact, &self.normaliser);
            }
        }
        Kept { end, ledger: self.ledger, lanes: self.lanes }
    }

    /// Up to when all is known: the end that the header tells, where everything was played up to there, or
    /// the latest event.
    fn known_until_ns(&self) -> u64 {
        let is_at_end = self.is_over && !self.is_cut && self.next.is_none();
        let end_ns = self.header().end_ns.filter(|_| is_at_end).unwrap_or(0);
        end_ns.max(self.normaliser.now_ns())
    }

    /// What stands at the head, and what the events can tell.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Plays all events up to `ts_ns` (of the events' clock), those at that instant included. False where the
    /// recording ends before.
    ///
    /// # Errors
    /// [`ReadError`], once; what was played stays valid.
    pub fn advance_to(&mut self, ts_ns: u64) -> Result<bool, ReadError> {
        loop {
            if self.next.is_none() {
                self.next = self.pull();
            }
            let Some(event) = self.next.take_if(|event| event.ts_ns <= ts_ns || is_loss(event)) else {
                return match (self.next.is_some(), self.failed.take()) {
                    (false, Some(error)) => Err(error),
                    (is_more, failed) => {
                        self.failed = failed;
                        Ok(is_more)
                    }
                };
            };
            self.play(&event);
        }
    }

    /// The next event, losses where their gaps begin.
    fn pull(&mut self) -> Option<Event> {
        while !self.is_over {
            match self.reader.next_event() {
                Ok(Some(event)) => {
                    if let Some(event) = self.early.add(event) {
                        return Some(event);
                    }
                }
                Ok(None) => self.is_over = true,
                Err(error) => {
                    (self.is_over, self.is_cut) = (true, true);
                    self.failed = Some(error);
                }
            }
        }
        self.early.rest()
    }

    /// Has somebody told how far the reading is, who may end it.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Tells how far the reading is; false if that ended it.
    fn tell_watch(&mut self) -> bool {
        let Some(watch) = self.watch.as_mut().filter(|_| !self.is_over) else { return true };
        let (done, all) = self.reader.progress();
        if !watch(done, all) {
            (self.is_over, self.is_cut) = (true, true);
        }
        !self.is_over
    }

    fn play(&mut self, event: &Event) {
        self.events += 1;
        if self.events.is_multiple_of(WATCHED_EVENTS) {
            self.tell_watch();
        }
        if let Some(ledger) = self.ledger.as_mut().filter(|_| !is_loss(event)) {
            ledger.before(event, &self.normaliser);
        }
        if self.ledger.as_ref().is_some_and(|ledger| ledger.ended_ns().is_some()) && self.tell_watch() {
            (self.is_over, self.is_cut) = (true, true);
        }
        self.normaliser.event(event);
        if let Some(ledger) = &mut self.ledger {
            ledger.after(event, &self.normaliser);
        }
        if let Some(culprits) = &mut self.culprits {
            culprits.event(event, &self.normaliser);
        }
        if let Some(lanes) = &mut self.lanes {
            for fact in self.normaliser.found() {
                lanes.fact(fact, &self.normaliser);
            }
        }
        self.judge.event(event, &self.normaliser);
        for fact in self.normaliser.facts() {
            self.books.fact(fact);
        }
    }

    /// Plays the rest, up to the end that the header tells if that is later than the last event.
    ///
    /// # Errors
    /// As [`advance_to`](Self::advance_to).
    pub fn advance_to_end(&mut self) -> Result<(), ReadError> {
        self.advance_to(u64::MAX).map(|_| ())
    }

    /// The machine at the latest event, or at `ts_ns` if that is later. Instants are those of the events'
    /// clock.
    ///
    /// The ledger, if it is kept, holds up to the latest event; [`settle_ledger`](Self::settle_ledger) brings
    /// it up to an instant.
    pub fn snapshot_at(&mut self, ts_ns: u64) -> Snapshot {
        let at_ns = ts_ns.max(self.normaliser.now_ns());
        let interference = self.culprits.as_mut().map(|culprits| culprits.at(&self.normaliser, at_ns));
        Snapshot { interference, ..self.books.snapshot(&self.normaliser, at_ns, self.unix_us(at_ns)) }
    }

    /// Brings the ledger up to `ts_ns`, if it is kept and has not come further. No event before that instant
    /// may be left to play.
    pub fn settle_ledger(&mut self, ts_ns: u64) {
        if let Some(ledger) = &mut self.ledger {
            ledger.advance(&self.normaliser, ts_ns);
        }
    }

    /// The machine at the end: where the header says that the recording is complete up to then, and it was
    /// read up to there, then; otherwise at the last event that was played.
    pub fn snapshot_at_end(&mut self) -> Snapshot {
        self.snapshot_at(self.known_until_ns())
    }

    /// An instant on the wall clock, µs since the Unix epoch; where the recording does not tell, µs of its
    /// own clock.
    pub fn unix_us(&self, ts_ns: u64) -> u64 {
        match self.header().wall {
            Some((event_ns, unix_us)) if ts_ns >= event_ns => {
                unix_us.saturating_add((ts_ns - event_ns) / 1000)
            }
            Some((event_ns, unix_us)) => unix_us.saturating_sub((event_ns - ts_ns) / 1000),
            None => ts_ns / 1000,
        }
    }

    /// How sure the totals of a task are.
    pub fn certainty(&self, task: TaskId) -> Certainty {
        self.books.certainty(task)
    }

    /// What had to be mended so far.
    pub fn repairs(&self) -> &Repairs {
        self.normaliser.repairs()
    }

    /// What could not be read so far.
    pub fn damage(&self) -> &Damage {
        self.reader.damage()
    }

    /// CPUs of the machine, where the recording tells their number, of which nothing was read so far.
    pub fn silent_cpus(&self) -> usize {
        self.judge.silent_cpus()
    }

    /// Events played.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How much of the file is behind, (bytes, of bytes).
    pub fn progress(&self) -> (u64, u64) {
        self.reader.progress()
    }

    /// The begin of the recording: what its header says, or its first event. Plays that.
    ///
    /// # Errors
    /// As [`advance_to`](Self::advance_to).
    pub fn begin_ns(&mut self) -> Result<u64, ReadError> {
        if let Some(begin_ns) = self.header().begin_ns {
            return Ok(begin_ns);
        }
        if self.events == 0 {
            self.advance_to(0)?;
            return Ok(self.next.as_ref().map_or(0, |event| event.ts_ns));
        }
        Ok(self.normaliser.begin_ns())
    }

    /// Makes the frames those of a span of the recording, whose totals begin at `from_ns` (of the events'
    /// clock). What comes before is played only as far as it tells how things stood then.
    ///
    /// # Errors
    /// As [`advance_to`](Self::advance_to).
    pub fn span(&mut self, from_ns: Option<u64>, to_ns: Option<u64>) -> Result<(), ReadError> {
        let begin_ns = self.begin_ns()?;
        let from_ns = from_ns.unwrap_or(begin_ns).max(begin_ns);
        if from_ns > begin_ns {
            self.advance_to(from_ns)?;
            self.books = Books::beginning(from_ns, *self.normaliser.repairs());
            self.judge.begin(from_ns);
            if let Some(culprits) = &mut self.culprits {
                culprits.begin(&self.normaliser, from_ns);
            }
        }
        self.has_span = true;
        self.seen_ns = Some(from_ns);
        self.end_ns = to_ns.unwrap_or(u64::MAX);
        Ok(())
    }

    /// Whether everything was played.
    pub fn is_over(&self) -> bool {
        self.is_over && self.next.is_none()
    }
}

/// The event of a gap comes where the gap begins, with the time at which it ends.
fn is_loss(event: &Event) -> bool {
    matches!(event.kind, Kind::Loss { .. })
}

impl Source for Playback {
    fn origin(&self) -> Origin {
        Origin::Recorded
    }

    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn Error + Send + Sync>> {
        if !self.has_span {
            self.span(None, None)?;
        }
        let Some(seen_ns) = self.seen_ns else { return Ok(None) };
        let step_ns =
            interval.and_then(|interval| u64::try_from(interval.as_nanos()).ok()).unwrap_or(u64::MAX);
        let at_ns = seen_ns.saturating_add(step_ns).min(self.end_ns);
        let has_more = self.advance_to(at_ns)? && at_ns < self.end_ns;
        // Frames may come so fast that none of them has the events after which the watch is told otherwise.
        let goes_on = has_more && (step_ns == 0 || self.tell_watch());
        // Between two events all is as it was after the first.
        let snapshot = if goes_on || at_ns == self.end_ns && at_ns < u64::MAX {
            self.snapshot_at(at_ns)
        } else {
            self.snapshot_at(self.known_until_ns().max(seen_ns))
        };
        self.seen_ns = goes_on.then_some(at_ns);
        let names = self.normaliser.groups().iter();
        let groups = names.filter_map(|(group, (_, name))| Some((*group, name.clone()?))).collect();
        let header = self.header();
        let machine = Machine {
            host: header.host.clone().unwrap_or_default(),
            release: header.release.clone().unwrap_or_default(),
            ..Machine::default()
        };
        let reserved = |life: &Life| Some((life.id, life.attributes.reservation?));
        let reservations = self.normaliser.lives().filter_map(reserved).collect();
        let grounds = Some(self.judge.grounds(&self.normaliser, snapshot.taken_ns, self.is_cut));
        Ok(Some(Frame { reservations, machine, grounds, ..Frame::new(snapshot, groups) }))
    }
}
