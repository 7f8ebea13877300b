//! A run queue shared by all CPUs that respects affinity: the smallest key among the tasks a CPU may run.

use crate::heap::{Entry, Heap, Long};
use crate::machine::{CpuIx, Machine, TaskIx};

/// Tasks ordered by key, equal keys by order of declaration; one heap for each affinity class.
#[derive(Clone, Debug)]
pub struct EntryQueue<E> {
    heaps: Vec<Heap<E>>,
}

/// A queue by keys of any kind.
pub type ClassQueue<K> = EntryQueue<(K, u32)>;

impl<E: Entry<Key: PartialOrd>> EntryQueue<E> {
    /// An empty queue for a machine.
    pub fn new(machine: &Machine) -> Self {
        Self { heaps: vec![Heap::new(0); machine.class_count()] }
    }

    /// Puts a task in.
    pub fn push(&mut self, machine: &Machine, task: TaskIx, key: E::Key) {
        self.heaps[machine.tasks()[task].class].set(task, key);
    }

    /// The smallest key among the tasks a CPU may run, and whose it is.
    pub fn peek(&self, machine: &Machine, cpu: CpuIx) -> Option<(E::Key, TaskIx)> {
        let class = self.best(machine, cpu)?;
        self.heaps[class].peek()
    }

    /// Takes that task out.
    pub fn pop(&mut self, machine: &Machine, cpu: CpuIx) -> Option<(E::Key, TaskIx)> {
        let class = self.best(machine, cpu)?;
        self.heaps[class].pop()
    }

    fn best(&self, machine: &Machine, cpu: CpuIx) -> Option<usize> {
        let classes = machine.classes_of(cpu);
        if let [only] = classes {
            return Some(*only);
        }
        let mut best: Option<(usize, (E::Key, TaskIx))> = None;
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
    pub fn remove(&mut self, machine: &Machine, task: TaskIx) -> Option<E::Key> {
        self.heaps[machine.tasks()[task].class].remove(task)
    }

    /// The first task of each affinity class.
    pub fn heads(&self) -> impl Iterator<Item = (usize, E::Key, TaskIx)> + '_ {
        self.heaps.iter().enumerate().filter_map(|(class, heap)| {
            let (key, task) = heap.peek()?;
            Some((class, key, task))
        })
    }

    /// All queued tasks with their keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (E::Key, TaskIx)> + '_ {
        self.heaps.iter().flat_map(Heap::iter)
    }

    /// How many are queued.
    pub fn len(&self) -> usize {
        self.heaps.iter().map(Heap::len).sum()
    }

    /// Whether nobody is queued.
    pub fn is_empty(&self) -> bool {
        self.heaps.iter().all(Heap::is_empty)
    }

    /// A CPU whose task has a larger key than the first queued task that may run there: of those, the one
    /// with the largest. `key_of` gives the key of a running task.
    pub fn worst_running(
        &self,
        machine: &Machine,
        mut key_of: impl FnMut(CpuIx, TaskIx) -> E::Key,
    ) -> Option<CpuIx> {
        let mut found: Option<(E::Key, CpuIx)> = None;
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

/// A queue by virtual times, in as little room as they need: almost always key and task are one integer.
#[derive(Clone, Debug)]
pub enum PassQueue {
    /// All that came so far [fits](Long::fits).
    Narrow(EntryQueue<Long>),
    /// Something did not.
    Wide(ClassQueue<i128>),
}

impl PassQueue {
    /// An empty queue for a machine.
    pub fn new(machine: &Machine) -> Self {
        Self::Narrow(EntryQueue::new(machine))
    }

    /// Puts a task in.
    #[inline]
    pub fn push(&mut self, machine: &Machine, task: TaskIx, key: i128) {
        if let Self::Narrow(queue) = self {
            if Long::fits(key, task) {
                return queue.push(machine, task, key);
            }
            self.widen(machine);
        }
        if let Self::Wide(queue) = self {
            queue.push(machine, task, key);
        }
    }

    #[cold]
    fn widen(&mut self, machine: &Machine) {
        let Self::Narrow(narrow) = self else { return };
        let mut wide = ClassQueue::new(machine);
        narrow.iter().for_each(|(key, task)| wide.push(machine, task, key));
        *self = Self::Wide(wide);
    }

    /// The smallest key among the tasks a CPU may run, and whose it is.
    #[inline]
    pub fn peek(&self, machine: &Machine, cpu: CpuIx) -> Option<(i128, TaskIx)> {
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
