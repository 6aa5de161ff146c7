package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	resultSession  protowire.Number = 1
	resultSequence protowire.Number = 2
	resultPosition protowire.Number = 3
	resultResults  protowire.Number = 4
	resultError    protowire.Number = 5
	resultOpen     protowire.Number = 6

	opAppended        protowire.Number = 1
	opSessionOpened   protowire.Number = 2
	opProducerOpened  protowire.Number = 3
	opError           protowire.Number = 15
	opKeyChanged      protowire.Number = 21
	opTransactionDone protowire.Number = 22
	opRunStarted      protowire.Number = 41
	opRunChanged      protowire.Number = 42
	opRunAdvanced     protowire.Number = 43
)

// CommitResult is a decoded edri.v1.CommitResult. Its byte slices alias what it
// was decoded from.
type CommitResult struct {
	Session, Sequence, Position uint64
	Ops                         []OpResult
	// Error is the encoded Error where the commit failed, nil where it did not.
	Error []byte
	// Open: not a result, the sequence is not consumed (see the schema).
	Open bool
}

// OpResult is a decoded edri.v1.OpResult: the fields of whichever kind it is.
type OpResult struct {
	Position, Revision    uint64
	Duplicate             bool
	Session, LastSequence uint64
	// Of a KeyChanged.
	KeyRevision, KeyPrevious uint64
	// Run is the number of the run of a RunStarted or RunChanged, Started whether it was
	// started by this, HistoryRevision of a RunAdvanced.
	Run, HistoryRevision uint64
	Started              bool
	// Transaction is the encoded KeyTransactionDone, nil where there is none.
	Transaction []byte
	// Error is the encoded Error, nil where the operation succeeded.
	Error []byte
}

// Decode fills r from an encoded CommitResult and reuses r.Ops.
func (r *CommitResult) Decode(b []byte) error {
	*r = CommitResult{Ops: r.Ops[:0]}
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(resultSession); ok {
			r.Session = v
		} else if v, ok := f.Varint(resultSequence); ok {
			r.Sequence = v
		} else if v, ok := f.Varint(resultPosition); ok {
			r.Position = v
		} else if v, ok := f.Varint(resultOpen); ok {
			r.Open = v != 0
		} else if m, ok := f.Bytes(resultError); ok {
			r.Error = present(m)
		} else if m, ok := f.Bytes(resultResults); ok {
			r.Ops = append(r.Ops, OpResult{})
			if err := r.Ops[len(r.Ops)-1].decode(m); err != nil {
				return err
			}
		}
	}
	return f.Err()
}

func (o *OpResult) decode(b []byte) error {
	f := Walk(b)
	for f.Next() {
		var err error
		if m, ok := f.Bytes(opAppended); ok {
			err = o.decodeVarints(m, &o.Position, &o.Revision, &o.Duplicate)
		} else if m, ok := f.Bytes(opSessionOpened); ok {
			err = o.decodeVarints(m, &o.Session, nil, nil)
		} else if m, ok := f.Bytes(opProducerOpened); ok {
			err = o.decodeVarints(m, &o.Session, &o.LastSequence, nil)
		} else if m, ok := f.Bytes(opKeyChanged); ok {
			err = o.decodeVarints(m, &o.KeyRevision, &o.KeyPrevious, nil)
		} else if m, ok := f.Bytes(opRunAdvanced); ok {
			err = o.decodeAdvanced(m)
		} else if m, ok := f.Bytes(opRunStarted); ok {
			err = o.decodeStarted(m)
		} else if m, ok := f.Bytes(opRunChanged); ok {
			err = o.decodeStarted(m)
		} else if m, ok := f.Bytes(opTransactionDone); ok {
			o.Transaction = present(m)
		} else if m, ok := f.Bytes(opError); ok {
			o.Error = present(m)
		}
		if err != nil {
			return err
		}
	}
	return f.Err()
}

// decodeVarints reads fields 1, 2 and 3, which is all that a result has.
func (o *OpResult) decodeVarints(b []byte, one, two *uint64, three *bool) error {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			*one = v
		} else if v, ok := f.Varint(2); ok && two != nil {
			*two = v
		} else if v, ok := f.Varint(3); ok && three != nil {
			*three = v != 0
		}
	}
	return f.Err()
}

// decodeStarted reads a RunStarted, or a RunChanged, which begins alike.
func (o *OpResult) decodeStarted(b []byte) error {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(1); ok {
			o.Run = v
		} else if v, ok := f.Varint(2); ok {
			o.Started = v != 0
		}
	}
	return f.Err()
}

func (o *OpResult) decodeAdvanced(b []byte) error {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(3); ok {
			o.HistoryRevision = v
		}
	}
	return f.Err()
}

// present makes an empty message differ from an absent one.
func present(m []byte) []byte {
	if m == nil {
		return []byte{}
	}
	return m
}

// ResultError returns the encoded Error of an encoded CommitResult, nil where
// the commit succeeded.
func ResultError(b []byte) ([]byte, error) {
	var failure []byte
	f := Walk(b)
	for f.Next() {
		if m, ok := f.Bytes(resultError); ok {
			failure = present(m)
		}
	}
	return failure, f.Err()
}

// AppendFrameResult appends an encoded CommitResult to the CommitResultFrame in
// dst.
func AppendFrameResult(dst, result []byte) []byte {
	return AppendMessage(dst, frameResults, result)
}

// AppendOpenResult appends the CommitResult of a commit that has no result,
// because of the encoded Error.
func AppendOpenResult(dst []byte, session, sequence uint64, failure []byte) []byte {
	dst = appendVarint(dst, resultSession, session)
	dst = appendVarint(dst, resultSequence, sequence)
	dst = AppendMessage(dst, resultError, failure)
	return appendVarint(dst, resultOpen, 1)
}
