//! A run queue shared by all CPUs that respects affinity: the smallest key among the tasks a CPU may run.

use crate::heap::IndexedHeap;
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::tournament::Tournament;

/// Tasks ordered by key, equal keys by order of declaration; one heap for each affinity class.
#[derive(Clone, Debug)]
pub struct ClassQueue<K> {
    heaps: Vec<IndexedHeap<K>>,
}

impl<K: PartialOrd + Copy> ClassQueue<K> {
    /// An empty queue for a machine.
    pub fn new(machine: &Machine) -> Self {
        Self { heaps: vec![IndexedHeap::new(0); machine.class_count()] }
    }

    /// Puts a task in.
    pub fn push(&mut self, machine: &Machine, task: TaskIx, key: K) {
        self.heaps[machine.tasks()[task].class].set(task, key);
    }

    /// The smallest key among the tasks a CPU may run, and whose it is.
    pub fn peek(&self, machine: &Machine, cpu: CpuIx) -> Option<(K, TaskIx)> {
        let class = self.best(machine, cpu)?;
        self.heaps[class].peek()
    }

    /// Takes that task out.
    pub fn pop(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(K, TaskIx)> {
        let class = self.best(machine, cpu)?;
        self.heaps[class].pop()
    }

    fn best(&self, machine: &Machine, cpu: CpuIx) -> Option<usize> {
        let classes = machine.classes_of(cpu);
        if let [only] = classes {
            return Some(*only);
        }
        let mut best: Option<(usize, (K, TaskIx))> = None;
        for &class in classes {
            if let Some(key) = self.heaps[class].peek()
                && best.is_none_or(|(_, least)| key < least)
            {
                best = Some((class, key));
            }
        }
        best.map(|(class, _)| class)
    }

    /// Takes a task out wherever it is.
    pub fn remove(&mut self, machine: &Machine, task: TaskIx) -> Option<K> {
        self.heaps[machine.tasks()[task].class].remove(task)
    }

    /// The first task of each affinity class.
    pub fn heads(&self) -> impl Iterator<Item = (usize, K, TaskIx)> + '_ {
        self.heaps.iter().enumerate().filter_map(|(class, heap)| {
            let (key, task) = heap.peek()?;
            Some((class, key, task))
        })
    }

    /// All queued tasks with their keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (K, TaskIx)> + '_ {
        self.heaps.iter().flat_map(IndexedHeap::iter)
    }

    /// How many are queued.
    pub fn len(&self) -> usize {
        self.heaps.iter().map(IndexedHeap::len).sum()
    }

    /// Whether nobody is queued.
    pub fn is_empty(&self) -> bool {
        self.heaps.iter().all(IndexedHeap::is_empty)
    }

    /// A CPU whose task has a larger key than the first queued task that may run there: of those, the one
    /// with the largest. `key_of` gives the key of a running task.
    pub fn worst_running(
        &self,
        machine: &Machine,
        mut key_of: impl FnMut(CpuIx, TaskIx) -> K,
    ) -> Option<CpuIx> {
        let mut found: Option<(K, CpuIx)> = None;
        for (class, head, _) in self.heads() {
            for &cpu in machine.class_cpus(class) {
                let Some(task) = machine.cpus()[cpu].task else { continue };
                let key = key_of(cpu, task);
                if head < key && found.is_none_or(|(worst, _)| worst < key) {
                    found = Some((key, cpu));
                }
            }
        }
        found.map(|(_, cpu)| cpu)
    }
}

/// Bits of a task: a scenario has at most a million.
const TASK_BITS: u32 = 20;
/// Added to a virtual time, so that none is negative. Half of what has room.
const BIAS: i128 = 1 << (127 - TASK_BITS);

/// Tasks by virtual times that are short enough, one tournament for each affinity class.
#[derive(Clone, Debug)]
pub struct Narrow {
    classes: Vec<Tournament<TASK_BITS>>,
    /// Place of each task among those of its class, and who has it there; empty with one class.
    places: Vec<usize>,
    members: Vec<Vec<TaskIx>>,
}

impl Narrow {
    fn new(machine: &Machine) -> Self {
        let tasks = machine.tasks();
        if machine.class_count() == 1 {
            let classes = vec![Tournament::new(tasks.len())];
            return Self { classes, places: Vec::new(), members: Vec::new() };
        }
        let mut members = vec![Vec::new(); machine.class_count()];
        let mut join = |(task, class): (TaskIx, usize)| {
            members[class].push(task);
            members[class].len() - 1
        };
        let places = tasks.iter().map(|task| task.class).enumerate().map(&mut join).collect();
        let classes = members.iter().map(|members| Tournament::new(members.len())).collect();
        Self { classes, places, members }
    }

    /// Whether a key has the room it needs, of any task.
    #[inline]
    fn fits(key: i128) -> bool {
        u128::try_from(key.wrapping_add(BIAS)).is_ok_and(Tournament::<TASK_BITS>::fits)
    }

    #[inline]
    fn push(&mut self, machine: &Machine, task: TaskIx, key: i128) {
        let key = (key + BIAS).cast_unsigned();
        if let [only] = self.classes.as_mut_slice() {
            only.set(task, key);
        } else {
            self.push_among(machine, task, key);
        }
    }

    #[inline(never)] // one class has no need of it
    fn push_among(&mut self, machine: &Machine, task: TaskIx, key: u128) {
        self.classes[machine.tasks()[task].class].set(self.places[task], key);
    }

    #[inline]
    fn task(&self, class: usize, place: usize) -> TaskIx {
        self.members.get(class).map_or(place, |members| members[place])
    }

    fn first(&mut self, class: usize) -> Option<(i128, TaskIx)> {
        let (key, place) = self.classes[class].peek()?;
        Some((key.cast_signed() - BIAS, self.task(class, place)))
    }

    /// The class with the smallest key among the tasks a CPU may run.
    #[inline(never)] // one class has no need of it
    fn best(&mut self, machine: &Machine, cpu: CpuIx) -> Option<usize> {
        let classes = machine.classes_of(cpu);
        if let [only] = classes {
            return Some(*only);
        }
        let firsts = classes.iter().filter_map(|class| Some((self.first(*class)?, *class)));
        firsts.min().map(|(_, class)| class)
    }

    #[inline]
    fn peek(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(i128, TaskIx)> {
        if let ([only], [_]) = (self.classes.as_mut_slice(), machine.classes_of(cpu)) {
            return only.peek().map(|(key, task)| (key.cast_signed() - BIAS, task));
        }
        let class = self.best(machine, cpu)?;
        self.first(class)
    }

    #[inline]
    fn pop(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(i128, TaskIx)> {
        if let ([only], [_]) = (self.classes.as_mut_slice(), machine.classes_of(cpu)) {
            return only.pop().map(|(key, task)| (key.cast_signed() - BIAS, task));
        }
        let class = self.best(machine, cpu)?;
        let (key, place) = self.classes[class].pop()?;
        Some((key.cast_signed() - BIAS, self.task(class, place)))
    }

    fn iter(&self) -> impl Iterator<Item = (i128, TaskIx)> + '_ {
        self.classes.iter().enumerate().flat_map(move |(class, queue)| {
            queue.iter().map(move |(key, place)| (key.cast_signed() - BIAS, self.task(class, place)))
        })
    }
}

/// A queue by virtual times, in as little room as they need: almost always key and task are one integer.
#[derive(Clone, Debug)]
pub enum PassQueue {
    /// All that came so far has room there.
    Narrow(Narrow),
    /// Something had none.
    Wide(ClassQueue<i128>),
}

impl PassQueue {
    /// An empty queue for a machine.
    pub fn new(machine: &Machine) -> Self {
        if machine.tasks().len() >> TASK_BITS > 0 {
            return Self::Wide(ClassQueue::new(machine));
        }
        Self::Narrow(Narrow::new(machine))
    }

    /// Puts a task in.
    #[inline]
    pub fn push(&mut self, machine: &Machine, task: TaskIx, key: i128) {
        match self {
            Self::Narrow(queue) if Narrow::fits(key) => queue.push(machine, task, key),
            _ => self.push_wide(machine, task, key),
        }
    }

    #[cold]
    fn push_wide(&mut self, machine: &Machine, task: TaskIx, key: i128) {
        self.widen(machine);
        if let Self::Wide(queue) = self {
            queue.push(machine, task, key);
        }
    }

    fn widen(&mut self, machine: &Machine) {
        let Self::Narrow(narrow) = self else { return };
        let mut wide = ClassQueue::new(machine);
        narrow.iter().for_each(|(key, task)| wide.push(machine, task, key));
        *self = Self::Wide(wide);
    }

    /// The smallest key among the tasks a CPU may run, and whose it is.
    #[inline]
    pub fn peek(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(i128, TaskIx)> {
        match self {
            Self::Narrow(queue) => queue.peek(machine, cpu),
            Self::Wide(queue) => queue.peek(machine, cpu),
        }
    }

    /// Takes that task out.
    #[inline]
    pub fn pop(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(i128, TaskIx)> {
        match self {
            Self::Narrow(queue) => queue.pop(machine, cpu),
            Self::Wide(queue) => queue.pop(machine, cpu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    /// A key beyond the narrow form comes in between: the order is that of the keys all the same.
    #[test]
    fn a_queue_widens_and_keeps_its_order() {
        let text = "name='x'\nduration='1s'\n[[task]]\nname='t'\ncount=5\n";
        let machine = Machine::new(&Scenario::from_toml(text).unwrap(), 1, 0);
        let mut queue = PassQueue::new(&machine);
        let far = i128::MAX >> 10;
        for (task, key) in [(3, 7), (1, 7), (0, -far), (2, -8), (4, far)] {
            queue.push(&machine, task, key);
        }
        assert!(matches!(queue, PassQueue::Wide(_)));
        assert_eq!(queue.peek(&machine, 0), Some((-far, 0)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(&machine, 0)).collect();
        assert_eq!(order, [(-far, 0), (-8, 2), (7, 1), (7, 3), (far, 4)]);
    }
}
