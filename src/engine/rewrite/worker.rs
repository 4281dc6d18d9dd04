//! One thread of a rewrite: visits directories, and hands each up when it is done.

use std::iter::Peekable;
use std::sync::Arc;

use super::base::{BaseListing, BaseReaders, EntryPair};
use super::directory::{Child, Directory};
use super::error::{ContentError, RewriteError};
use super::pages::{PageRead, Pages};
use super::{Contents, Rewrite, TreePair};
use crate::codec::ChunkId;
use crate::engine::Meter;
use crate::engine::chain::chain;
use crate::engine::work_queue::WorkQueue;
use crate::format::{Content, Entry, EntryKind, PageBuilder};
use crate::repo::{Reader, RepoError, WriteSession};

/// One thread's tools. Trees have readers of their own: blocks of file data would drive out theirs.
pub struct Worker<'a, C> {
    rewrite: &'a Rewrite<'a>,
    session: WriteSession,
    source: Reader,
    target: Reader,
    contents: C,
}

/// The subdirectories of a directory on its second visit, in order of names.
type Children = Peekable<std::vec::IntoIter<Child>>;

impl<'a, C: Contents> Worker<'a, C> {
    pub fn new(rewrite: &'a Rewrite<'a>, contents: C) -> Result<Self, RewriteError> {
        Ok(Self {
            rewrite,
            session: rewrite.writer.session().map_err(RewriteError::Target)?,
            source: rewrite.source.reader().map_err(RewriteError::Source)?,
            target: rewrite.target.reader().map_err(RewriteError::Target)?.passing(),
            contents,
        })
    }

    /// Works until the queue is empty.
    pub fn run(mut self, queue: &WorkQueue<Arc<Directory>>) -> Result<(), RewriteError> {
        while let Some((directory, _at_work)) = queue.next() {
            if let Err(error) = self.visit(&directory, queue) {
                queue.stop();
                return Err(error);
            }
        }
        self.session.flush().map_err(RewriteError::Target)
    }

    fn stop_if_told(&self) -> Result<(), RewriteError> {
        if self.rewrite.meter.is_interrupted() { Err(RewriteError::Interrupted) } else { Ok(()) }
    }

    /// The first visit: which subdirectories there are, and which of them are not known already.
    fn visit(
        &mut self,
        directory: &Arc<Directory>,
        queue: &WorkQueue<Arc<Directory>>,
    ) -> Result<(), RewriteError> {
        self.stop_if_told()?;
        if let Some(known) = self.known_tree(&directory.tree, directory.base)? {
            return self.hand_up(directory, Some(known));
        }
        let mut pages = match Pages::open(&mut self.source, &directory.tree)? {
            Ok(pages) => pages,
            Err(error) => {
                lose_directory(directory, &error);
                return self.hand_up(directory, None);
            }
        };
        let mut base = BaseListing::open(directory.base, self.base_readers())?;
        let (mut children, mut pending) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next(&mut self.source)? {
            // What is lost of the listing is told at the second visit.
            let PageRead::Entries(entries) = page else { continue };
            for entry in entries {
                let EntryKind::Directory(tree) = entry.kind else { continue };
                let pair = tree_pair(base.take(&entry.name, self.base_readers())?);
                let (name, known) = (entry.name.into_boxed_slice(), self.known_tree(&tree, pair)?);
                if known.is_none() {
                    pending.push(directory.child(children.len(), name.clone(), tree, pair));
                }
                children.push(Child { name, tree: known });
            }
        }
        directory.expect(children, pending.len());
        if pending.is_empty() {
            return self.complete(directory);
        }
        queue.push_all(pending.into_iter().rev());
        Ok(())
    }

    /// What a tree became before, if the target still has it.
    fn known_tree(
        &mut self,
        tree: &ChunkId,
        base: Option<TreePair>,
    ) -> Result<Option<ChunkId>, RewriteError> {
        if (self.rewrite.keeps)(tree) {
            return Ok(Some(*tree));
        }
        if let Some(known) = self.rewrite.memo.tree(tree) {
            return Ok(Some(known));
        }
        let Some(base) = base.filter(|base| base.source == *tree) else { return Ok(None) };
        let found = self.session.reuse(&base.target).map_err(RewriteError::Target)?;
        Ok(found.map(|_| base.target))
    }

    fn base_readers(&mut self) -> BaseReaders<'_> {
        BaseReaders { source: &mut self.source, target: &mut self.target }
    }

    /// The second visit of a directory whose subdirectories are done, and of every one above for which this
    /// was the last.
    fn complete(&mut self, directory: &Arc<Directory>) -> Result<(), RewriteError> {
        let mut directory = Arc::clone(directory);
        loop {
            let tree = self.finish(&directory)?;
            match directory.deliver(tree) {
                Some(above) => directory = above,
                None => return Ok(()),
            }
        }
    }

    /// Hands up a directory that needs no second visit.
    fn hand_up(&mut self, directory: &Directory, tree: Option<ChunkId>) -> Result<(), RewriteError> {
        match directory.deliver(tree) {
            Some(above) => self.complete(&above),
            None => Ok(()),
        }
    }

    fn finish(&mut self, directory: &Directory) -> Result<Option<ChunkId>, RewriteError> {
        Meter::add(&self.rewrite.meter.directories, 1);
        let mut pages = match Pages::open(&mut self.source, &directory.tree)? {
            Ok(pages) => pages,
            Err(error) => {
                lose_directory(directory, &error);
                return Ok(None);
            }
        };
        let mut children = directory.take_children().into_iter().peekable();
        let mut base = BaseListing::open(directory.base, self.base_readers())?;
        let mut target = PageBuilder::new(pages.entries());
        let mut is_whole = true;
        while let Some(page) = pages.next(&mut self.source)? {
            let entries = match page {
                PageRead::Entries(entries) => entries,
                PageRead::Lost { names, error } => {
                    let why = format!("{names} of its names are lost: {}", chain(&error));
                    directory.home.lose(directory.path_of(b""), why, |_| {});
                    is_whole = false;
                    continue;
                }
            };
            for entry in entries {
                let known = base.take(&entry.name, self.base_readers())?;
                match self.entry(directory, entry, &mut children, known)? {
                    Some(entry) => target.push(entry, &mut |bytes| store(&mut self.session, &bytes))?,
                    None => is_whole = false,
                }
            }
        }
        let tree = target.finish(&mut |bytes| store(&mut self.session, &bytes))?;
        self.remember(directory, tree, is_whole);
        Ok(Some(tree))
    }

    /// A tree below which something is lost is made anew wherever it stands, so that it is told there too.
    fn remember(&self, directory: &Directory, tree: ChunkId, is_whole: bool) {
        if is_whole && super::lock(&directory.home.lost).problems.is_empty() {
            self.rewrite.memo.keep_tree(directory.tree, tree);
        }
    }

    /// An entry as it is in the target; none when it is lost.
    fn entry(
        &mut self,
        directory: &Directory,
        mut entry: Entry,
        children: &mut Children,
        known: Option<EntryPair>,
    ) -> Result<Option<Entry>, RewriteError> {
        match &mut entry.kind {
            EntryKind::Directory(tree) => {
                while children.next_if(|child| *child.name < *entry.name).is_some() {}
                match children.next_if(|child| *child.name == *entry.name) {
                    Some(Child { tree: Some(target), .. }) => *tree = target,
                    Some(Child { tree: None, .. }) => return Ok(None),
                    None => {
                        let why = "its name could not be read at first".to_owned();
                        directory
                            .home
                            .lose(directory.path_of(&entry.name), why, |lost| lost.directories += 1);
                        return Ok(None);
                    }
                }
            }
            EntryKind::File(content) => {
                let path = || directory.path_of(&entry.name);
                match self.content(directory, content, known)? {
                    Ok(target) => *content = target,
                    Err(error) => {
                        let bytes = content.size();
                        directory.home.lose(path(), chain(&error), |lost| {
                            lost.files += 1;
                            lost.bytes = lost.bytes.saturating_add(bytes);
                        });
                        return Ok(None);
                    }
                }
            }
            _ => {}
        }
        if let Some(group) = &mut entry.attributes.link_group {
            *group = self.contents.link_group(group);
        }
        Ok(Some(entry))
    }

    /// A file's content in the target, or why it is lost.
    fn content(
        &mut self,
        directory: &Directory,
        content: &Content,
        known: Option<EntryPair>,
    ) -> Result<Result<Content, RepoError>, RewriteError> {
        self.stop_if_told()?;
        let meter = self.rewrite.meter;
        Meter::add(&meter.files, 1);
        Meter::add(&meter.bytes, content.size());
        // Without extents there is nothing to read: an empty file, or one whose content is elsewhere.
        if content.extents.is_empty() {
            return Ok(Ok(content.clone()));
        }
        if let Some(target) = content_of(content, known).or_else(|| self.rewrite.memo.content(content)) {
            return Ok(Ok(target));
        }
        match self.contents.rewrite(content, &mut self.session) {
            Ok(stored) => {
                Meter::add(&directory.home.bytes_new, stored.bytes_new);
                self.rewrite.memo.keep_content(content, &stored.content);
                Ok(Ok(stored.content))
            }
            Err(ContentError::Lost(error)) => Ok(Err(error)),
            Err(ContentError::Fatal(error)) => Err(error),
        }
    }
}

fn lose_directory(directory: &Directory, error: &RepoError) {
    directory.home.lose(directory.path_of(b""), chain(error), |lost| lost.directories += 1);
}

fn store(session: &mut WriteSession, bytes: &[u8]) -> Result<ChunkId, RewriteError> {
    session.tree(bytes).map(|stored| stored.id).map_err(RewriteError::Target)
}

/// The trees of two entries that are both directories.
fn tree_pair(entries: Option<EntryPair>) -> Option<TreePair> {
    let EntryPair { source, target } = entries?;
    match (source.kind, target.kind) {
        (EntryKind::Directory(source), EntryKind::Directory(target)) => Some(TreePair { source, target }),
        _ => None,
    }
}

/// What a file of this content became, if the base has the same under the same name.
fn content_of(content: &Content, entries: Option<EntryPair>) -> Option<Content> {
    let EntryPair { source, target } = entries?;
    match (source.kind, target.kind) {
        (EntryKind::File(source), EntryKind::File(target)) if source == *content => Some(target),
        _ => None,
    }
}
