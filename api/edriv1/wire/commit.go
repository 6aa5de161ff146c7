package wire

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of edri.v1.
const (
	frameCommits protowire.Number = 1 // CommitFrame.commits
	frameResults protowire.Number = 1 // CommitResultFrame.results

	commitEpoch    protowire.Number = 1
	commitSession  protowire.Number = 2
	commitFirst    protowire.Number = 3
	commitSequence protowire.Number = 4
	commitAcked    protowire.Number = 5
	commitEach     protowire.Number = 6
	commitOps      protowire.Number = 7

	opAppend       protowire.Number = 1
	opOpenSession  protowire.Number = 2
	opOpenProducer protowire.Number = 3
	opCloseSession protowire.Number = 4

	appendStream   protowire.Number = 1
	appendExists   protowire.Number = 2
	appendRevision protowire.Number = 3
	appendEvent    protowire.Number = 4
)

// CommitHead is what a Commit says besides its operations.
type CommitHead struct {
	Epoch         []byte // 16 bytes, or none
	Session       uint64
	FirstSequence uint64 // 0: the same as Sequence
	Sequence      uint64
	AckedThrough  uint64
	Each          bool
}

// MaxCommitHead bounds the encoded head: the epoch, four varints and a bool.
const MaxCommitHead = 2 + 16 + 4*11 + 2

// AppendCommit appends a Commit of head and the encoded operations.
func AppendCommit(dst []byte, head *CommitHead, ops []byte) []byte {
	return append(head.append(dst), ops...)
}

// AppendFrameCommit appends a Commit of head and ops to the CommitFrame in dst.
func AppendFrameCommit(dst []byte, head *CommitHead, ops []byte) []byte {
	var scratch [MaxCommitHead]byte
	encoded := head.append(scratch[:0])
	dst = protowire.AppendTag(dst, frameCommits, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(encoded)+len(ops)))
	dst = append(dst, encoded...)
	return append(dst, ops...)
}

func (h *CommitHead) append(dst []byte) []byte {
	if len(h.Epoch) > 0 {
		dst = AppendMessage(dst, commitEpoch, h.Epoch)
	}
	dst = appendVarint(dst, commitSession, h.Session)
	dst = appendVarint(dst, commitFirst, h.FirstSequence)
	dst = appendVarint(dst, commitSequence, h.Sequence)
	dst = appendVarint(dst, commitAcked, h.AckedThrough)
	if h.Each {
		dst = appendVarint(dst, commitEach, 1)
	}
	return dst
}

// Expected values that are not revisions, as in event.Expected, which this
// package does not import.
const (
	expectAny    = -1
	expectExists = -2
)

// AppendAppendOp appends an operation that appends the encoded event to a
// stream ("": the event's default); expected as in event.Expected.
func AppendAppendOp(dst []byte, stream string, expected int64, event []byte) []byte {
	size := sizeBytes(appendEvent, len(event))
	if stream != "" {
		size += sizeBytes(appendStream, len(stream))
	}
	switch {
	case expected == expectExists:
		size += sizeVarint(appendExists, 1)
	case expected >= 0:
		// A oneof's member is present even where it is 0.
		size += protowire.SizeTag(appendRevision) + protowire.SizeVarint(uint64(expected))
	}

	dst = protowire.AppendTag(dst, commitOps, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(opAppend, size)))
	dst = protowire.AppendTag(dst, opAppend, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	if stream != "" {
		dst = protowire.AppendTag(dst, appendStream, protowire.BytesType)
		dst = protowire.AppendString(dst, stream)
	}
	switch {
	case expected == expectExists:
		dst = appendVarint(dst, appendExists, 1)
	case expected >= 0:
		dst = protowire.AppendTag(dst, appendRevision, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(expected))
	}
	return AppendMessage(dst, appendEvent, event)
}

// AppendOpenSessionOp appends an operation that opens a session.
func AppendOpenSessionOp(dst []byte) []byte {
	return AppendMessage(dst, commitOps, AppendMessage(nil, opOpenSession, nil))
}

// AppendOpenProducerOp appends an operation that opens the named producer.
func AppendOpenProducerOp(dst []byte, name string) []byte {
	body := AppendMessage(nil, 1, []byte(name))
	return AppendMessage(dst, commitOps, AppendMessage(nil, opOpenProducer, body))
}

// AppendCloseSessionOp appends an operation that closes the commit's session.
func AppendCloseSessionOp(dst []byte) []byte {
	return AppendMessage(dst, commitOps, AppendMessage(nil, opCloseSession, nil))
}

// CommitIdentity reads session and sequence out of an encoded Commit.
func CommitIdentity(b []byte) (session, sequence uint64, err error) {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(commitSession); ok {
			session = v
		}
		if v, ok := f.Varint(commitSequence); ok {
			sequence = v
		}
	}
	return session, sequence, f.Err()
}

// SplitCommits returns the commits of an encoded CommitFrame, appended to dst.
func SplitCommits(dst [][]byte, frame []byte) ([][]byte, error) {
	return split(dst, frame, frameCommits)
}

// SplitResults returns the results of an encoded CommitResultFrame, appended to
// dst.
func SplitResults(dst [][]byte, frame []byte) ([][]byte, error) {
	return split(dst, frame, frameResults)
}

func split(dst [][]byte, b []byte, num protowire.Number) ([][]byte, error) {
	f := Walk(b)
	for f.Next() {
		if m, ok := f.Bytes(num); ok {
			// The cap keeps an append to one message off the next.
			dst = append(dst, m[:len(m):len(m)])
		}
	}
	return dst, f.Err()
}
