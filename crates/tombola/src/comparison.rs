//! Two sides, figure by figure: what of their difference is more than noise.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::contrast::{self, Contrast, LEVEL};

/// Subjects that are compared: those that ran and waited most. The more are asked about, the less can be told
/// of each.
const SUBJECTS: usize = 100;

/// A difference below this is none that matters, however certain: percent, as most figures, and of seconds in
/// percent of the longer time.
const MATTERS: f64 = 0.1;

/// Who a figure is about. Tasks and processes of two boots have nothing in common but their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// All of it.
    Machine,
    /// The processes of the command that was run.
    Run,
    /// A group, by its full name.
    Group(String),
    /// All tasks of a name.
    Command(String),
}

/// What somebody had in a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Had {
    /// Time on a CPU, in percent of the time of all CPUs.
    pub(crate) run: f64,
    /// Time runnable without a CPU, in percent of the length: 100 is one task that waits always.
    pub(crate) wait: f64,
    /// Entitled − received, in percent of the time of all CPUs.
    pub(crate) lag: f64,
    /// From the start of a run to its end, in seconds; 0 for whatever is no run.
    pub(crate) elapsed: f64,
    /// CPU time of a run by the kernel's own account, in seconds; 0 for whatever is no run.
    pub(crate) cpu: f64,
}

/// What each value of a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// Stretches of what is past.
    Stretches,
    /// Stretches of one run of a command.
    StretchesOfRun,
    /// Whole runs of a command.
    Runs,
}

impl Pieces {
    /// What they are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stretches | Self::StretchesOfRun => "stretches",
            Self::Runs => "runs",
        }
    }
}

/// A side.
pub(crate) struct Side {
    /// What the user calls it, harmless.
    pub(crate) name: String,
    /// The machine, harmless.
    pub(crate) machine: String,
    /// Length of all pieces.
    pub(crate) length_ns: u64,
    /// What was lost in the last pieces and before.
    pub(crate) loss: String,
    /// What run, wait and lag are worth, in words; `None` where the source cannot judge it.
    pub(crate) certainty: Option<String>,
    /// Who had what, piece by piece. Who had nothing is not there.
    pub(crate) pieces: Vec<BTreeMap<Subject, Had>>,
}

/// A figure of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// [`Had::run`].
    Run,
    /// [`Had::wait`].
    Wait,
    /// [`Had::lag`].
    Lag,
    /// [`Had::elapsed`].
    Elapsed,
    /// [`Had::cpu`].
    Cpu,
}

impl Figure {
    const ALL: [Self; 5] = [Self::Run, Self::Wait, Self::Lag, Self::Elapsed, Self::Cpu];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
            Self::Lag => "lag",
            Self::Elapsed => "elapsed",
            Self::Cpu => "cpu",
        }
    }

    /// Its unit.
    pub(crate) fn unit(self) -> &'static str {
        if self.is_time() { "s" } else { "%" }
    }

    /// Decimals of a value: a hundredth of a percent, a tenth of a millisecond.
    pub(crate) fn decimals(self) -> usize {
        if self.is_time() { 4 } else { 2 }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::Elapsed | Self::Cpu)
    }

    fn of(self, had: &Had) -> f64 {
        match self {
            Self::Run => had.run,
            Self::Wait => had.wait,
            Self::Lag => had.lag,
            Self::Elapsed => had.elapsed,
            Self::Cpu => had.cpu,
        }
    }
}

/// One figure of one subject on both sides.
pub(crate) struct Difference {
    /// Who.
    pub(crate) subject: Subject,
    /// What of them.
    pub(crate) figure: Figure,
    /// Means, interval, and the probability of this question alone.
    pub(crate) contrast: Contrast,
    /// The probability in view of all questions of its kind: about what was run, or about anybody else.
    pub(crate) p: f64,
}

impl Difference {
    /// Whether it is more than noise, and enough to matter.
    pub(crate) fn is_one(&self) -> bool {
        let Contrast { first, second, .. } = self.contrast;
        let least =
            if self.figure.is_time() { MATTERS / 100.0 * first.abs().max(second.abs()) } else { MATTERS };
        self.p < LEVEL && self.contrast.difference().abs() >= least
    }
}

/// Two sides.
pub(crate) struct Comparison {
    /// The first and the second.
    pub(crate) sides: [Side; 2],
    /// What they are made of.
    pub(crate) pieces: Pieces,
    /// Figures: those that differ first, by how much; then the others, by how much.
    pub(crate) differences: Vec<Difference>,
    /// Subjects that were not compared.
    pub(crate) left_out: usize,
}

impl Comparison {
    /// Compares.
    pub(crate) fn of(sides: [Side; 2], pieces: Pieces) -> Self {
        let mut weights: BTreeMap<&Subject, f64> = BTreeMap::new();
        for side in &sides {
            for (subject, had) in side.pieces.iter().flatten() {
                // What was run is what is asked about, however little it did.
                let weight = if *subject == Subject::Run { f64::INFINITY } else { had.run + had.wait };
                *weights.entry(subject).or_default() += weight / side.pieces.len() as f64;
            }
        }
        let mut subjects: Vec<(&Subject, f64)> = weights.into_iter().collect();
        subjects.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let left_out = subjects.len().saturating_sub(SUBJECTS);
        let subjects: BTreeSet<&Subject> = subjects.into_iter().take(SUBJECTS).map(|(s, _)| s).collect();
        let mut differences = Vec::new();
        for subject in subjects {
            for figure in Figure::ALL {
                let [first, second] = [&sides[0], &sides[1]].map(|side| {
                    let value =
                        |piece: &BTreeMap<Subject, Had>| piece.get(subject).map_or(0.0, |had| figure.of(had));
                    side.pieces.iter().map(value).collect::<Vec<f64>>()
                });
                // Of what nobody had there is nothing to ask.
                if first.iter().chain(&second).all(|value| *value == 0.0) {
                    continue;
                }
                let contrast = Contrast::of(&first, &second);
                differences.extend(contrast.map(|contrast| Difference {
                    subject: subject.clone(),
                    figure,
                    contrast,
                    p: contrast.p,
                }));
            }
        }
        // What was run is asked about for its own sake: a question that was there before all others is not
        // paid for with theirs.
        for is_run in [true, false] {
            let family = || |difference: &&mut Difference| (difference.subject == Subject::Run) == is_run;
            let mut probabilities: Vec<f64> = differences.iter_mut().filter(family()).map(|d| d.p).collect();
            contrast::correct(&mut probabilities);
            for (difference, p) in differences.iter_mut().filter(family()).zip(probabilities) {
                difference.p = p;
            }
        }
        differences.sort_by(|a, b| {
            // What was run is asked about first, and first of all how long it took.
            let is_run = |d: &Difference| d.subject == Subject::Run;
            let key = |d: &Difference| (Reverse(d.is_one()), Reverse(is_run(d)), Reverse(d.figure.is_time()));
            let size = |d: &Difference| d.contrast.difference().abs();
            key(a).cmp(&key(b)).then_with(|| size(b).total_cmp(&size(a)))
        });
        Self { sides, pieces, differences, left_out }
    }

    /// Figures of what was run, where something was.
    pub(crate) fn of_run(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.subject == Subject::Run)
    }

    /// How many figures differ.
    pub(crate) fn found(&self) -> usize {
        self.differences.iter().filter(|difference| difference.is_one()).count()
    }

    /// What it comes to, in a sentence.
    pub(crate) fn verdict(&self) -> String {
        let of = self.differences.len();
        match self.differences.first().filter(|first| first.is_one()) {
            None => format!("No difference that is more than noise, in {of} figures."),
            Some(first) => {
                let Contrast { first: a, second: b, .. } = first.contrast;
                let (level, name) = first.subject.words();
                let found = self.found();
                let figures = if found == 1 { "figure differs" } else { "figures differ" };
                let (figure, unit, decimals) =
                    (first.figure.name(), first.figure.unit(), first.figure.decimals());
                format!(
                    "{found} of {of} {figures} by more than noise; most of all {figure} of {level}{name}: {a:.decimals$} {unit} on \
                     the first side, {b:.decimals$} {unit} on the second."
                )
            }
        }
    }

    /// How it was compared, sentence by sentence.
    pub(crate) fn method(&self) -> Vec<String> {
        let [a, b] = [&self.sides[0], &self.sides[1]].map(|side| side.pieces.len());
        let pieces = match self.pieces {
            Pieces::Stretches => {
                format!(
                    "Each side was cut into equal stretches: {a} and {b}. Each stretch gives one value of a figure."
                )
            }
            Pieces::StretchesOfRun => format!(
                "Each command ran once, and its time was cut into about equal stretches: {a} and {b}. Each stretch gives one value of \
                 a figure. How much one run differs from the next is not known: --runs says it."
            ),
            Pieces::Runs => format!(
                "The commands ran {a} and {b} times, in turns: first, second, second, first, and so on. Each run gives one value of a \
                 figure. elapsed is from start to end; cpu is what the kernel says that the command and what it waited for have used."
            ),
        };
        let of_run = self.of_run().count();
        let questions = self.differences.len() - of_run;
        let apart = if of_run > 0 {
            format!(", and for the {of_run} about the whole command apart from these")
        } else {
            String::new()
        };
        let mut sentences = vec![
            pieces,
            "run and lag are in percent of the time of all CPUs, wait in percent of the length: 100 is one task that waits always."
                .to_owned(),
            format!(
                "Means are compared by Welch's t-test (two-sided), with fewer {} where neighbours are alike: n (1 \u{2212} r) / (1 + r).",
                self.pieces.name()
            ),
            format!(
                "p is corrected for all {questions} questions by Holm's method{apart}; the interval holds the difference in 95 of 100 \
                 cases, each by itself.",
            ),
            format!("More than noise: p below {LEVEL}, and a difference of {MATTERS} % at least; of seconds, of the longer time."),
            "Tasks are compared by name and by group: two boots have no PIDs in common. Only what varies within a side is noise here: a \
             machine that was another one, or a day that was, is a difference."
                .to_owned(),
        ];
        if self.left_out > 0 {
            sentences.push(format!(
                "{} groups and names that ran and waited less were not compared.",
                self.left_out
            ));
        }
        sentences
    }
}

impl Subject {
    /// Its level, for sentences with a space behind it, and its name.
    pub(crate) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Machine => ("the machine", ""),
            Self::Run => ("the whole command", ""),
            Self::Group(name) => ("group ", name),
            Self::Command(name) => ("command ", name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A side with a run that takes about `elapsed`, and 99 others of whom each varies by itself.
    fn side(elapsed: f64) -> Side {
        let piece = |piece: u32| {
            let swing = |n: u32| f64::from((piece * 7 + n * 13) % 11) / 10.0;
            let run = Had { elapsed: elapsed + swing(0), ..Had::default() };
            let others = (1..100)
                .map(|n| (Subject::Command(n.to_string()), Had { run: 5.0 + swing(n), ..Had::default() }));
            std::iter::once((Subject::Run, run)).chain(others).collect()
        };
        let pieces = (0..8).map(piece).collect();
        Side {
            name: String::new(),
            machine: String::new(),
            length_ns: 1,
            loss: String::new(),
            certainty: None,
            pieces,
        }
    }

    #[test]
    fn the_question_that_was_there_before_all_others_is_not_paid_for_with_theirs() {
        let comparison = Comparison::of([side(10.0), side(10.6)], Pieces::Runs);
        let [of_run] = comparison.of_run().collect::<Vec<_>>()[..] else { panic!("one figure of the run") };
        assert_eq!(of_run.p.to_bits(), of_run.contrast.p.to_bits(), "one question needs no correction");
        // Among a hundred it would not have been found.
        assert!(of_run.is_one() && of_run.p * 100.0 > LEVEL, "{}", of_run.p);
        assert_eq!((comparison.found(), comparison.differences.len()), (1, 100));
        assert!(comparison.verdict().contains("elapsed of the whole command"), "{}", comparison.verdict());
    }

    #[test]
    fn a_run_that_did_nearly_nothing_is_still_compared() {
        let crowd = |mut side: Side| {
            for piece in &mut side.pieces {
                for n in 0..200 {
                    piece.insert(Subject::Group(n.to_string()), Had { run: 50.0, ..Had::default() });
                }
            }
            side
        };
        let comparison = Comparison::of([side(1.0), side(1.0)].map(crowd), Pieces::Runs);
        assert_eq!((comparison.of_run().count(), comparison.left_out), (1, 200));
    }
}
