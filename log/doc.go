// Package log keeps the journal: every event ever committed, in the order of
// positions, in files of its own, searchable by stream, type, subject, source,
// correlation id and time. (It has nothing to do with log messages.)
//
// # What is where
//
// Apply appends to memory and goes on; a flush makes records durable in the
// active segment, in one synced bbolt transaction; a full segment is sealed, a piece
// after each of the next flushes, and never changes again. Where a segment ends
// follows from the records alone (Mark.Add), so that all nodes have the same.
//
//	journal/00000000000000000001.seg   sealed, positions 1 …
//	journal/00000000000000812345.seg   sealed
//	journal/00000000000001620001.seg   active        | tail in memory
//	        |--------- posting lists ---------|------ signatures -----|
//
// The newest records, up to Config.RunBytes and what is not flushed, are found by
// signatures: 20 bytes a record in memory, searched from end to end, 50,000 of
// them in 30 µs (comparing the records themselves takes 11 ms). All others are
// found by posting lists, which are written a run at a time: sorted first, so that
// pages are written once, in order and full. Putting the names of each flush into
// one tree instead was measured at 12 µs and 1,500 bytes written per event, against
// 1.4 µs and 14 bytes (flushes of 6,000 events in 10,000 streams; with a correlation
// id for each event 73 µs and 3,700 bytes, against 15 µs and 82).
//
// # A segment file
//
//	bucket "header"    "segment" -> header (header.go)
//	bucket "records"   chunk rows (chunk.go, record.go)
//	bucket R<lo><hi>   posting lists of the records lo-hi (run.go, builder.go, postings.go)
//	bucket M<lo><hi>   in a sealed segment instead: all of them merged (merge.go)
//
//	chunk row   key    first position, 8 bytes big endian
//	            value  xxh64 | record | record | …            at most 8,160 bytes
//	record             uvarint n | stamp i64 | uvarint revision | uvarint length, stream | event
//	posting row key    't' or 'n' | name | 0 | set of attributes | first position
//	            value  crc32c | uvarint count | uvarint last - first | uvarint distances
//
// An event's bytes are those that its producer sent; of an event only its header
// is looked at (event.ScanNames), for the indexes. The set of attributes says
// whose name it is: stream 1, subject 2, source 4, correlation 8, type 16; since a
// stream is by default called like its subject or source, one list then serves
// both. Type lists stand by themselves, so that a prefix of types goes through
// types only. A CRC-32C covers key and value of a posting row; a chunk row's hash
// covers its records and its position.
//
// A row ends where the next record would make it too long, however flushes came,
// so rows follow from the records alone. A segment's digest is made of them:
//
//	no rows      32 zeros
//	each row     SHA-256(digest of the rows before | first position | hash)
//
// It is carried on in memory and in the header as rows fill up, and so are the
// posting lists of the next run in memory: neither a run nor a seal reads records
// again. A record's bytes are gone through twice on their way to the disk, to find
// its names and to hash its row.
//
// Nodes name a sealed segment to each other by its first position and digest; a file
// that came from another node counts only after CheckSealed has read all of it.
//
// # Crashes
//
// The journal is flushed before the state, and the state holds the Mark of what it
// knows. Opening brings the journal back to the mark, since all beyond it comes
// again from the replicated log:
//
//	crash                              at open
//	before the segment's commit        replay
//	segment committed, state not       cut the journal to the mark, replay
//	after a roll or a seal             delete newer files, unseal, cut, replay
//	while sealing, roll in the state   begin to seal anew
//	files below Mark.First remain      delete them
//	journal behind the mark            ErrBehind: quarantine
//
// Apply never decides from what the journal holds; it only writes it.
//
// # Retention
//
// Retain moves the first position, which is exact to the record, and says which
// streams are purged up to where: both hold for every later View. Files are
// another matter: Remove deletes those that lie wholly below the First that the
// state has on disk, oldest first, so that no state ever looks for one that is
// gone; the active segment stays. A reader that is older goes on in the file that
// it has open, and gets compacted at the next one that is gone. Hold keeps files
// for who copies them. Purged events stay in their segments, whose digests do not
// change, and are left out by readers.
//
// # Reading
//
// A View is an immutable snapshot, taken without a lock; readers never wait for
// the writer nor the writer for them. A Reader plans each run by itself: the
// rarest list leads, the others skip to what it finds, and no record is read that
// a list excludes. It holds one bbolt read transaction at a time and checks as it
// goes that positions have no gap and that rows are whole.
//
// Damage comes out as store.ErrCorrupt with the file's name, never as a gap or a
// wrong record: rows by their CRC, missing chunks by position, damaged keys of
// posting lists by looking at both neighbours of where a search ended (probe),
// damaged pages by turning bbolt's panics and memory faults into errors (guarded).
// Scrub reads a sealed segment whole and compares its digest, before somebody
// needs what is damaged. What is not found out here is a posting row that vanished
// whole with an intact page around it.
//
// # Concurrency
//
// Append is for one goroutine, Flush for one at a time, all else for any. Locks, in
// order: Journal.flushing (a whole Flush or Remove), Journal.holding, Journal.mu (replacing the snapshot; a
// few microseconds), segment.mu, pool.mu; no two segments' at once, and pool.mu
// never while a segment's is held.
package log
