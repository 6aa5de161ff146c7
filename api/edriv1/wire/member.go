package wire

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of the messages of Subscriptions.Deliver.
const (
	memberSubscription protowire.Number = 1 // DeliverRequest
	memberName         protowire.Number = 2
	memberCredits      protowire.Number = 3
	memberHeld         protowire.Number = 4
	memberSettlements  protowire.Number = 5
	memberExtend       protowire.Number = 6
	memberGiveBack     protowire.Number = 7
	memberVersion      protowire.Number = 8

	heldPosition protowire.Number = 1 // Held
	heldToken    protowire.Number = 2

	settlementID      protowire.Number = 1 // Settlement
	settlementSettle  protowire.Number = 2
	settlementEffects protowire.Number = 3

	settlePosition protowire.Number = 2 // Settle
	settleToken    protowire.Number = 3
	settleVerb     protowire.Number = 4
	settleReason   protowire.Number = 5
	settleDelay    protowire.Number = 6

	opRespond      protowire.Number = 25 // Op
	respondRequest protowire.Number = 1
	respondEvent   protowire.Number = 3
)

// AppendMember appends to a DeliverRequest which subscription the member joins, its
// name, and the version of the definition that it runs.
func AppendMember(dst []byte, subscription, name string, version uint32) []byte {
	dst = protowire.AppendTag(dst, memberSubscription, protowire.BytesType)
	dst = protowire.AppendString(dst, subscription)
	if name != "" {
		dst = protowire.AppendTag(dst, memberName, protowire.BytesType)
		dst = protowire.AppendString(dst, name)
	}
	return appendVarint(dst, memberVersion, uint64(version))
}

// AppendMemberCredits appends credits to a DeliverRequest.
func AppendMemberCredits(dst []byte, n uint32) []byte {
	return appendVarint(dst, memberCredits, uint64(n))
}

// AppendMemberHeld appends to a DeliverRequest a delivery that the member has.
func AppendMemberHeld(dst []byte, position uint64, token []byte) []byte {
	return appendHeld(dst, memberHeld, position, token)
}

// AppendMemberExtend appends to a DeliverRequest a delivery whose lease is to last.
func AppendMemberExtend(dst []byte, position uint64, token []byte) []byte {
	return appendHeld(dst, memberExtend, position, token)
}

// AppendMemberGiveBack appends to a DeliverRequest a delivery that others may have.
func AppendMemberGiveBack(dst []byte, position uint64, token []byte) []byte {
	return appendHeld(dst, memberGiveBack, position, token)
}

func appendHeld(dst []byte, num protowire.Number, position uint64, token []byte) []byte {
	size := sizeVarint(heldPosition, position) + sizeBytes(heldToken, len(token))
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, heldPosition, position)
	return AppendMessage(dst, heldToken, token)
}

// Settlement is what an edri.v1.Settlement says.
type Settlement struct {
	ID       uint64
	Position uint64
	Token    []byte
	Verb     uint64 // as in edri.v1.Settle.Verb
	Reason   string
	Delay    int64 // nanoseconds; negative: absent
	// Effects are encoded operations, as field ops of a Commit.
	Effects []byte
}

// AppendMemberSettlement appends a settlement to a DeliverRequest.
func AppendMemberSettlement(dst []byte, s *Settlement) []byte {
	settle := sizeVarint(settlePosition, s.Position) + sizeBytes(settleToken, len(s.Token)) + sizeVarint(settleVerb, s.Verb)
	if s.Reason != "" {
		settle += sizeBytes(settleReason, len(s.Reason))
	}
	if s.Delay >= 0 {
		settle += protowire.SizeTag(settleDelay) + protowire.SizeVarint(uint64(s.Delay))
	}
	size := sizeVarint(settlementID, s.ID) + sizeBytes(settlementSettle, settle)
	if len(s.Effects) > 0 {
		size += sizeBytes(settlementEffects, len(s.Effects))
	}
	dst = protowire.AppendTag(dst, memberSettlements, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, settlementID, s.ID)
	dst = protowire.AppendTag(dst, settlementSettle, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(settle))
	dst = appendVarint(dst, settlePosition, s.Position)
	dst = AppendMessage(dst, settleToken, s.Token)
	dst = appendVarint(dst, settleVerb, s.Verb)
	if s.Reason != "" {
		dst = protowire.AppendTag(dst, settleReason, protowire.BytesType)
		dst = protowire.AppendString(dst, s.Reason)
	}
	if s.Delay >= 0 {
		// It is optional: 0 is there too.
		dst = protowire.AppendTag(dst, settleDelay, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(s.Delay))
	}
	if len(s.Effects) > 0 {
		dst = AppendMessage(dst, settlementEffects, s.Effects)
	}
	return dst
}

// AppendRespondOp appends an operation that answers a request with the encoded event.
func AppendRespondOp(dst []byte, request uint64, event []byte) []byte {
	size := sizeVarint(respondRequest, request) + sizeBytes(respondEvent, len(event))
	dst = protowire.AppendTag(dst, commitOps, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(opRespond, size)))
	dst = protowire.AppendTag(dst, opRespond, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, respondRequest, request)
	return AppendMessage(dst, respondEvent, event)
}
