// Package backup is the format of a backup: one file that holds the state of a
// cluster and its journal at one position, or, if it is incremental, what earlier
// backups lack of it.
//
// # Why a format of its own
//
// A backup is written as a stream whose reader may be far away, by a node that
// reads each of its files once. So everything that is only known at the end,
// digests above all, stands at the end. And it is read years later by somebody who
// does not trust it: every byte is under a SHA-256, sizes are checked before they
// are used, and no name in it ever becomes the name of a file.
//
// # The file
//
//	offset  bytes
//	     0      8  "edribak" and the version of the format, 1
//	     8         the parts, one after the other: first the state file, then
//	               segments in the order of their positions, as bbolt files
//	     m      n  the manifest: lines of JSON, the first one a Head, then one
//	               Segment for each segment of the history
//	   m+n      8  n, big endian
//	 m+n+8     32  SHA-256 of all that precedes
//	m+n+40      8  "edriend" and the version of the format, 1
//
// The state is that of one index of the Raft log. The last segment may go on
// behind it; what does is cut off when the backup is opened, as after a crash.
//
// # Incremental backups
//
// A sealed segment is known by its digest (package log), which is the same on all
// nodes. The manifest lists all segments, also those that are in an earlier backup,
// with that one's id. The earlier backups that are needed are named in the Head, so
// that a restore can say what is missing.
//
// # What is checked
//
// Open checks the ends of the file and the manifest, which is quick. Verify reads
// everything: the digest of the file, of each part, and within the parts each page,
// each row's checksum, that positions have no gap, and each segment's digest. A
// backup that was taken of damaged files does not pass.
//
// A file is not changed and may be read by many. Writer and File are for one
// goroutine each.
package backup
