//! The sequencer: one thread that turns everything queued into one record, and acknowledges when it is durable.
//!
//! There is no timer: while the disk syncs one group, the next one forms in the queue.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use evidence::{
    checkpoint::Checkpoint,
    ids::{Hash, LeafIndex, Origin, TreeSize},
    leaf::LEAF_BYTES,
    merkle::{CompactRange, MerkleError, leaf_hash},
    note::{NoteError, NoteSigner},
};
use tokio::sync::{oneshot, watch};

use crate::{
    compare::Compared,
    config::Limits,
    group::{Addition, Group, Parked, Recorded, Refused, Stream, Verdict},
    nodes::Nodes,
    store::{Holding, Reader, Record, Run, Store, StoreError, Tip},
    telemetry::Metrics,
};

/// What an addition gets once a record holds it; a function of the log alone, so repetition gives the same.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Index of the addition's first leaf.
    pub index: LeafIndex,
    /// Leaves of the addition, from the first on, that this receipt is about.
    pub count: u64,
    /// The state of the log after the record that holds them.
    pub head: Arc<Holding>,
}

/// Why an addition has no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The source must act.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The queue, or the part of the log that is not in tiles yet, is at its limit.
    #[error("the log is busy")]
    Busy,
    /// The sequencer has stopped; whether the leaves are recorded is found out by asking again.
    #[error("the log is stopping")]
    Stopping,
}

/// Why the sequencer ends; the process ends with it.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The record store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree cannot grow.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The log key cannot sign.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The system gives no thread.
    #[error("the sequencer's thread: {0}")]
    Thread(std::io::Error),
}

type Reply = oneshot::Sender<Result<Receipt, Refused>>;

enum Ask {
    Add(Addition, Reply),
    Stop,
}

/// The handle that requests are put in by.
#[derive(Debug, Clone)]
pub struct Sequencer {
    queue: SyncSender<Ask>,
    sequenced: watch::Receiver<Option<Arc<Holding>>>,
    integrated: watch::Receiver<Option<Arc<Holding>>>,
    unintegrated: u64,
}

impl Sequencer {
    /// Puts an addition into the queue and waits until its record is durable.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, addition: Addition) -> Result<Receipt, AddError> {
        if size_of(&self.sequenced).saturating_sub(size_of(&self.integrated)) > self.unintegrated {
            return Err(AddError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Ask::Add(addition, reply)).map_err(|error| match error {
            TrySendError::Full(_) => AddError::Busy,
            TrySendError::Disconnected(_) => AddError::Stopping,
        })?;
        Ok(answer.await.map_err(|_| AddError::Stopping)??)
    }

    /// Asks the sequencer to record what is queued and then to end.
    pub fn stop(&self) {
        // A full queue is waited for; a sequencer that is gone has stopped already.
        let _ = self.queue.send(Ask::Stop);
    }
}

/// Leaves of a watched head.
pub fn size_of(head: &watch::Receiver<Option<Arc<Holding>>>) -> u64 {
    head.borrow().as_ref().map_or(0, |head| head.size.get())
}

/// Everything that the sequencer writes with.
#[derive(Debug)]
pub struct Writer {
    /// The record store.
    pub store: Store,
    /// Reads what is recorded already.
    pub reader: Reader,
    /// The log key.
    pub signer: NoteSigner,
    /// The log's origin.
    pub origin: Origin,
    /// The state after the newest record.
    pub tip: Option<Tip>,
    /// The nodes of the tree.
    pub nodes: Arc<Nodes>,
    /// Where the newest recorded head is shown.
    pub sequenced: watch::Sender<Option<Arc<Holding>>>,
    /// Where the newest integrated head is seen.
    pub integrated: watch::Receiver<Option<Arc<Holding>>>,
    /// Wakes the integrator; closing it lets the integrator end.
    pub wake: SyncSender<()>,
    /// The bounds.
    pub limits: Limits,
    /// The measurements.
    pub metrics: Arc<Metrics>,
}

/// Starts the sequencer's thread. `_compared` is the permission: nothing is sequenced or signed without it.
///
/// # Errors
/// [`SequenceError`] when the store cannot be read.
pub fn start(
    writer: Writer,
    _compared: Compared,
) -> Result<(Sequencer, JoinHandle<Result<(), SequenceError>>), SequenceError> {
    let (queue, asks) = sync_channel(writer.limits.queue);
    let sequencer = Sequencer {
        queue,
        sequenced: writer.sequenced.subscribe(),
        integrated: writer.integrated.clone(),
        unintegrated: writer.limits.unintegrated,
    };
    let mut line = Line::new(writer)?;
    let thread = std::thread::Builder::new()
        .name("sequencer".into())
        .spawn(move || line.run(&asks))
        .map_err(SequenceError::Thread)?;
    Ok((sequencer, thread))
}

/// The sequencer's own state.
struct Line {
    writer: Writer,
    range: CompactRange,
    previous: Hash,
    next: HashMap<Stream, u64>,
    parked: Parked<(Reply, Instant)>,
    parked_leaves: usize,
}

impl Line {
    fn new(writer: Writer) -> Result<Self, SequenceError> {
        let (range, previous) = match &writer.tip {
            None => (CompactRange::new(), Hash::new([0; 32])),
            Some(tip) => (CompactRange::from_peaks(tip.size, tip.range.clone())?, tip.digest),
        };
        let streams = writer.reader.streams()?;
        let next = streams.into_iter().map(|(source, epoch, next)| ((source, epoch), next.get())).collect();
        Ok(Self { writer, range, previous, next, parked: Parked::new(), parked_leaves: 0 })
    }

    /// Collect → record → acknowledge, until asked to stop.
    fn run(&mut self, asks: &Receiver<Ask>) -> Result<(), SequenceError> {
        loop {
            let (group, stop) = self.collect(asks)?;
            self.sequence(group)?;
            if stop {
                return Ok(());
            }
        }
    }

    /// Waits for one request, then takes all that is queued, up to the limit of a group.
    fn collect(&mut self, asks: &Receiver<Ask>) -> Result<(Group<Reply>, bool), SequenceError> {
        let mut group = Group::new(LeafIndex::new(self.range.size().get()));
        let mut ask = match self.wait(asks) {
            Ok(ask) => Some(ask),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Ask::Stop),
        };
        while let Some(now) = ask.take() {
            match now {
                Ask::Stop => {
                    self.refuse_parked(&mut group, |_| true);
                    return Ok((group, true));
                }
                Ask::Add(addition, reply) => self.take(&mut group, addition, reply)?,
            }
            if group.leaf_count() < self.writer.limits.group {
                ask = asks.try_recv().ok();
            }
        }
        let wait = self.writer.limits.reorder_wait;
        self.refuse_parked(&mut group, |since| since.elapsed() >= wait);
        Ok((group, false))
    }

    fn wait(&self, asks: &Receiver<Ask>) -> Result<Ask, RecvTimeoutError> {
        let oldest = self.parked.values().flatten().map(|(_, (_, since))| *since).min();
        match oldest {
            None => asks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => {
                let deadline = since + self.writer.limits.reorder_wait;
                asks.recv_timeout(deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
            }
        }
    }

    /// Takes an addition into the group, and then those that waited for it.
    fn take(&mut self, group: &mut Group<Reply>, addition: Addition, reply: Reply) -> Result<(), SequenceError> {
        let stream = addition.stream;
        let Some((early, reply)) = group.take(addition, reply, &mut self.next, &self.writer.reader)? else {
            return self.take_parked(group, stream);
        };
        let leaves = early.commitments.len();
        if self.parked_leaves.saturating_add(leaves) > self.writer.limits.reorder_leaves {
            group.refuse(&early, reply, &self.next);
        } else {
            self.parked_leaves += leaves;
            let slot = self.parked.entry((early.stream, early.first)).or_default();
            slot.push((early, (reply, Instant::now())));
        }
        Ok(())
    }

    fn take_parked(&mut self, group: &mut Group<Reply>, stream: Stream) -> Result<(), SequenceError> {
        while let Some(entry) = self.parked.range((stream, evidence::ids::Sequence::new(0))..).next() {
            let key = *entry.0;
            let expected = self.next.get(&stream).copied().unwrap_or(0);
            if key.0 != stream || key.1.get() > expected {
                break;
            }
            for (addition, (reply, _)) in self.parked.remove(&key).unwrap_or_default() {
                self.parked_leaves = self.parked_leaves.saturating_sub(addition.commitments.len());
                // INVARIANT: it no longer starts behind the stream's end, so it is not given back.
                group.take(addition, reply, &mut self.next, &self.writer.reader)?;
            }
        }
        Ok(())
    }

    fn refuse_parked(&mut self, group: &mut Group<Reply>, too_late: impl Fn(&Instant) -> bool) {
        let keys: Vec<_> = self.parked.keys().copied().collect();
        for key in keys {
            let (late, early): (Vec<_>, Vec<_>) =
                self.parked.remove(&key).unwrap_or_default().into_iter().partition(|(_, (_, since))| too_late(since));
            if !early.is_empty() {
                self.parked.insert(key, early);
            }
            for (addition, (reply, _)) in late {
                self.parked_leaves = self.parked_leaves.saturating_sub(addition.commitments.len());
                group.refuse(&addition, reply, &self.next);
            }
        }
    }

    /// The path of one group: hash, sign, COMMIT, show, acknowledge.
    fn sequence(&mut self, group: Group<Reply>) -> Result<(), SequenceError> {
        if group.leaf_count() == 0 {
            return self.acknowledge(group, None);
        }
        let _span = tracing::info_span!("sequence", leaves = group.leaf_count()).entered();
        let hashes: Vec<Hash> = group.leaves().chunks(LEAF_BYTES).map(leaf_hash).collect();
        let record = self.record(&group, &hashes)?;
        let digest = record.digest();
        // CRASH: the commit point. Before it nothing is promised; after it the record is found again at the next
        // start, and a source that asks again gets the very same receipt. An error leaves the truth unknown, so it
        // ends the process and nobody is answered.
        let started = Instant::now();
        self.writer.store.append(&record, digest)?;
        self.writer.metrics.group_committed(group.leaf_count(), started.elapsed());

        self.previous = digest;
        self.writer.nodes.append(&hashes);
        let head = Arc::new(Holding { size: record.size, root: record.root, checkpoint: record.checkpoint });
        self.writer.sequenced.send_replace(Some(Arc::clone(&head)));
        self.acknowledge(group, Some(&head))?;
        // A full channel means that the integrator is awake already.
        let _ = self.writer.wake.try_send(());
        Ok(())
    }

    fn record(&mut self, group: &Group<Reply>, hashes: &[Hash]) -> Result<Record, SequenceError> {
        let first = self.range.append_all(hashes.iter().copied())?;
        let (size, root) = (self.range.size(), self.range.root());
        let checkpoint = Checkpoint { origin: self.writer.origin.clone(), size, root };
        Ok(Record {
            lease: self.writer.store.lease(),
            first,
            leaves: group.leaves().to_vec(),
            size,
            root,
            range: self.range.peaks().to_vec(),
            checkpoint: checkpoint.sign(&self.writer.signer)?.to_string(),
            previous: self.previous,
        })
    }

    fn acknowledge(&self, group: Group<Reply>, head: Option<&Arc<Holding>>) -> Result<(), SequenceError> {
        for (reply, verdict) in group.close() {
            let answer = match (verdict, head) {
                (Verdict::Refused(refused), _) => Err(refused),
                (Verdict::InGroup(covered), Some(head)) => {
                    Ok(Receipt { index: covered.index, count: covered.count, head: Arc::clone(head) })
                }
                (Verdict::Recorded(covered), _) => {
                    let head = self.writer.reader.holding(covered.index)?.map(Arc::new);
                    let size = covered.index.get();
                    let head = head.ok_or(StoreError::Damaged { size, what: "no record holds its leaf" })?;
                    Ok(Receipt { index: covered.index, count: covered.count, head })
                }
                // INVARIANT: a group without new leaves puts nothing into itself.
                (Verdict::InGroup(_), None) => continue,
            };
            // An asker that went away asks again and gets the same.
            let _ = reply.send(answer);
        }
        Ok(())
    }
}

impl Recorded for Reader {
    type Error = StoreError;

    fn run(&self, stream: Stream, sequence: evidence::ids::Sequence) -> Result<Option<Run>, StoreError> {
        Self::run(self, stream.0, stream.1, sequence)
    }

    fn leaves(&self, from: LeafIndex, count: u64) -> Result<Vec<u8>, StoreError> {
        Self::leaves(self, from, TreeSize::new(from.get().saturating_add(count)))
    }
}

#[cfg(test)]
mod tests;
