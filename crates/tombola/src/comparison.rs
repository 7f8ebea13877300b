//! Two sides, figure by figure: what of their difference is more than noise.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tombola_core::contrast::{self, Contrast, LEVEL};

/// Subjects that are compared: those that ran and waited most. The more are asked about, the less can be told
/// of each.
const SUBJECTS: usize = 100;

/// A difference below this is none that matters, however certain: percent, as the figures.
const MATTERS: f64 = 0.1;

/// Who a figure is about. Tasks and processes of two boots have nothing in common but their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// All of it.
    Machine,
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
}

/// A side.
pub(crate) struct Side {
    /// What the user calls it, harmless.
    pub(crate) name: String,
    /// The machine, harmless.
    pub(crate) machine: String,
    /// Length of all stretches.
    pub(crate) length_ns: u64,
    /// What was lost in the last stretches and before.
    pub(crate) loss: String,
    /// Who had what, stretch by stretch. Who had nothing is not there.
    pub(crate) stretches: Vec<BTreeMap<Subject, Had>>,
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
}

impl Figure {
    const ALL: [Self; 3] = [Self::Run, Self::Wait, Self::Lag];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
            Self::Lag => "lag",
        }
    }

    fn of(self, had: &Had) -> f64 {
        match self {
            Self::Run => had.run,
            Self::Wait => had.wait,
            Self::Lag => had.lag,
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
    /// The probability in view of all questions.
    pub(crate) p: f64,
}

impl Difference {
    /// Whether it is more than noise, and enough to matter.
    pub(crate) fn is_one(&self) -> bool {
        self.p < LEVEL && self.contrast.difference().abs() >= MATTERS
    }
}

/// Two sides.
pub(crate) struct Comparison {
    /// The first and the second.
    pub(crate) sides: [Side; 2],
    /// Figures: those that differ first, by how much; then the others, by how much.
    pub(crate) differences: Vec<Difference>,
    /// Subjects that were not compared.
    pub(crate) left_out: usize,
}

impl Comparison {
    /// Compares.
    pub(crate) fn of(sides: [Side; 2]) -> Self {
        let mut weights: BTreeMap<&Subject, f64> = BTreeMap::new();
        for side in &sides {
            for (subject, had) in side.stretches.iter().flatten() {
                *weights.entry(subject).or_default() += (had.run + had.wait) / side.stretches.len() as f64;
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
                    let value = |stretch: &BTreeMap<Subject, Had>| {
                        stretch.get(subject).map_or(0.0, |had| figure.of(had))
                    };
                    side.stretches.iter().map(value).collect::<Vec<f64>>()
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
        let mut probabilities: Vec<f64> = differences.iter().map(|difference| difference.p).collect();
        contrast::correct(&mut probabilities);
        for (difference, p) in differences.iter_mut().zip(probabilities) {
            difference.p = p;
        }
        differences.sort_by(|a, b| {
            let size = |d: &Difference| d.contrast.difference().abs();
            Reverse(a.is_one()).cmp(&Reverse(b.is_one())).then_with(|| size(b).total_cmp(&size(a)))
        });
        Self { sides, differences, left_out }
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
                format!(
                    "{found} of {of} {figures} by more than noise; most of all {} of {level}{name}: {a:.2} % before, {b:.2} % \
                     after.",
                    first.figure.name(),
                )
            }
        }
    }

    /// How it was compared, sentence by sentence.
    pub(crate) fn method(&self) -> Vec<String> {
        let [a, b] = [&self.sides[0], &self.sides[1]].map(|side| side.stretches.len());
        let mut sentences = vec![
            format!("Each side was cut into equal stretches: {a} and {b}. Each stretch gives one value of a figure."),
            "run and lag are in percent of the time of all CPUs, wait in percent of the length: 100 is one task that waits always."
                .to_owned(),
            "Means are compared by Welch's t-test (two-sided), with fewer stretches where neighbours are alike: n (1 \u{2212} r) / (1 + r)."
                .to_owned(),
            format!(
                "p is corrected for all {} questions by Holm's method; the interval holds the difference in 95 of 100 cases, each \
                 by itself.",
                self.differences.len()
            ),
            format!("More than noise: p below {LEVEL}, and a difference of {MATTERS} % at least."),
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
            Self::Group(name) => ("group ", name),
            Self::Command(name) => ("command ", name),
        }
    }
}
