package wire

import "google.golang.org/protobuf/encoding/protowire"

// DeliverRequest is a decoded edri.v1.DeliverRequest whose parts alias its bytes.
type DeliverRequest struct {
	Subscription, Member   string
	Credits                uint64
	Version                uint32
	Held, Extend, GiveBack []Held
	Settlements            []Settling
}

// Settling is a decoded edri.v1.Settlement with its parts as encoded bytes.
type Settling struct {
	ID      uint64
	Settle  []byte
	Effects []byte // nil: none
}

// Decode fills r from an encoded DeliverRequest.
func (r *DeliverRequest) Decode(b []byte) error {
	*r = DeliverRequest{}
	f := Walk(b)
	for f.Next() {
		var err error
		if m, ok := f.Bytes(memberSubscription); ok {
			r.Subscription = string(m)
		} else if m, ok := f.Bytes(memberName); ok {
			r.Member = string(m)
		} else if v, ok := f.Varint(memberCredits); ok {
			r.Credits = v
		} else if v, ok := f.Varint(memberVersion); ok {
			r.Version = uint32(v)
		} else if m, ok := f.Bytes(memberHeld); ok {
			r.Held, err = decodeHeld(r.Held, m)
		} else if m, ok := f.Bytes(memberSettlements); ok {
			r.Settlements = append(r.Settlements, Settling{})
			err = r.Settlements[len(r.Settlements)-1].decode(m)
		} else if m, ok := f.Bytes(memberExtend); ok {
			r.Extend, err = decodeHeld(r.Extend, m)
		} else if m, ok := f.Bytes(memberGiveBack); ok {
			r.GiveBack, err = decodeHeld(r.GiveBack, m)
		}
		if err != nil {
			return err
		}
	}
	return f.Err()
}

func decodeHeld(dst []Held, b []byte) ([]Held, error) {
	var h Held
	err := h.Decode(b)
	return append(dst, h), err
}

func (s *Settling) decode(b []byte) error {
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(settlementID); ok {
			s.ID = v
		} else if m, ok := f.Bytes(settlementSettle); ok {
			s.Settle = m
		} else if m, ok := f.Bytes(settlementEffects); ok {
			s.Effects = m
		}
	}
	return f.Err()
}

// AppendDelivery appends a Delivery of a recorded event, which stands for d.Recorded,
// to the DeliverResponse in dst.
func AppendDelivery(dst []byte, d *Delivery, position, revision uint64, stream string, stamp int64, event []byte) []byte {
	inner := sizeVarint(recordedPosition, position) + sizeVarint(recordedRevision, revision) +
		sizeVarint(recordedStamp, uint64(stamp)) + sizeBytes(recordedEvent, len(event))
	if len(stream) > 0 {
		inner += sizeBytes(recordedStream, len(stream))
	}
	size := sizeBytes(deliveryEvent, inner) + sizeVarint(deliveryAttempt, uint64(d.Attempt)) + sizeBytes(deliveryToken, len(d.Token)) +
		sizeVarint(deliveryLease, uint64(d.Lease)) + sizeVarint(deliveryGeneration, d.Generation) +
		sizeVarint(deliveryDeadline, uint64(d.Deadline))
	dst = protowire.AppendTag(dst, deliverDeliveries, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, deliveryEvent, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(inner))
	dst = AppendRecorded(dst, position, revision, stream, stamp, event)
	dst = appendVarint(dst, deliveryAttempt, uint64(d.Attempt))
	dst = AppendMessage(dst, deliveryToken, d.Token)
	dst = appendVarint(dst, deliveryLease, uint64(d.Lease))
	dst = appendVarint(dst, deliveryGeneration, d.Generation)
	return appendVarint(dst, deliveryDeadline, uint64(d.Deadline))
}

// AppendSettled appends a SettlementResult to the DeliverResponse in dst: the
// CommitResult, or where that is nil the encoded Error.
func AppendSettled(dst []byte, id uint64, result, failure []byte) []byte {
	size := sizeVarint(settledID, id)
	number, part := settledResult, result
	if result == nil {
		number, part = settledError, failure
	}
	size += sizeBytes(number, len(part))
	dst = protowire.AppendTag(dst, deliverResults, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, settledID, id)
	return AppendMessage(dst, number, part)
}

// AppendLost appends a lost Held to the DeliverResponse in dst.
func AppendLost(dst []byte, position uint64, token []byte) []byte {
	return appendHeld(dst, deliverLost, position, token)
}

// AppendOp appends an operation to the Commit in dst. suffix is what stands in the
// operation's message behind its body.
func AppendOp(dst []byte, number int32, body, suffix []byte) []byte {
	n := protowire.Number(number)
	size := len(body) + len(suffix)
	dst = protowire.AppendTag(dst, commitOps, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(n, size)))
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = append(dst, body...)
	return append(dst, suffix...)
}

// IsOps reports whether an encoded Commit has operations and nothing else.
func IsOps(b []byte) bool {
	f := Walk(b)
	for f.Next() {
		if _, ok := f.Bytes(commitOps); !ok {
			return false
		}
	}
	return f.Err() == nil
}
