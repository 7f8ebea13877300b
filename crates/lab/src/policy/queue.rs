//! A run queue shared by all CPUs that respects affinity: the smallest key among the tasks a CPU may run.

use crate::heap::IndexedHeap;
use crate::machine::{CpuIx, Machine, TaskIx};

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

    /// A CPU whose task has a larger key than the first queued task that may run there: of those, the one with the
    /// largest. `key_of` gives the key of a running task.
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
