//! The tables that set parameters of policies.

use super::shape::RawScenario;
use super::{Reader, Result};
use crate::scenario::tuning::{FirstPass, MAX_LEVELS, MAX_WINNERS, Tuning};

impl Reader<'_> {
    pub(super) fn tuning(&self, raw: &RawScenario) -> Result<Tuning> {
        let mut tuning = Tuning::default();
        if let Some(draws) = &raw.lottery.draws {
            if draws.get_ref().is_empty() {
                return self.fail(&draws.span(), "no draw is given; leave draws out for chance");
            }
            let ticket = |draw| self.number(draw, "the number of a ticket", 0..=u64::MAX >> 11);
            tuning.draws = draws.get_ref().iter().map(ticket).collect::<Result<_>>()?;
        }
        if let Some(winners) = &raw.lottery.winners {
            let winners = self.number(winners, "winners", 1..=u64::from(MAX_WINNERS))?;
            tuning.winners = u32::try_from(winners).unwrap_or(MAX_WINNERS);
        }
        tuning.first_pass = match raw.stride.first_pass.as_ref().map(|p| (p.get_ref().as_str(), p.span())) {
            None | Some(("stride", _)) => FirstPass::Stride,
            Some(("zero", _)) => FirstPass::Zero,
            Some((other, span)) => {
                return self.fail(&span, format!("first_pass '{other}'; use stride or zero"));
            }
        };
        if let Some(levels) = &raw.mlfq.levels {
            let levels = self.number(levels, "levels", 1..=u64::from(MAX_LEVELS))?;
            tuning.levels = u8::try_from(levels).unwrap_or(MAX_LEVELS);
        }
        tuning.boost_ns = match &raw.mlfq.boost {
            Some(never) if never.get_ref() == "never" => 0,
            Some(boost) => self.positive(boost, "boost")?,
            None => tuning.boost_ns,
        };
        Ok(tuning)
    }
}
