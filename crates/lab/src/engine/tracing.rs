//! Telling what happens, turn by turn.

use super::{Simulation, TaskIx, Tracer, Turn};

impl<'a> Simulation<'a> {
    /// Tells every turn to `tracer`. To be called before time moves. The fluid machine has no turns: all run
    /// at once.
    pub fn trace(&mut self, tracer: Tracer<'a>) {
        self.tracer = Some(tracer);
    }

    #[inline]
    pub(super) fn tell(&mut self, turn: impl FnOnce(u64) -> Turn) {
        if self.tracer.is_some() {
            self.tell_now(&turn(self.machine.now_ns));
        }
    }

    #[inline(never)] // most often nobody listens
    fn tell_now(&mut self, turn: &Turn) {
        if let Some(tracer) = &mut self.tracer {
            tracer(turn);
        }
    }

    pub(super) fn tell_born(&mut self, task: TaskIx) {
        if self.tracer.is_some() {
            let totals = Box::new(self.totals(task));
            self.tell(|at_ns| Turn::Born { at_ns, totals });
        }
    }
}
