package event

import (
	"encoding/hex"
	"strconv"
)

// Position is the place of an event in the journal: 1, 2, 3 … without gaps. 0 is
// before the first.
type Position uint64

// String returns the position in decimal.
func (p Position) String() string { return strconv.FormatUint(uint64(p), 10) }

// Revision is the place of an event in its stream: 1, 2, 3 … without gaps. 0 says
// that the stream does not exist.
type Revision uint64

// String returns the revision in decimal.
func (r Revision) String() string { return strconv.FormatUint(uint64(r), 10) }

// Epoch identifies the lineage of a cluster's history. A restore begins a new one.
type Epoch [16]byte

// String returns the epoch as 32 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// IsZero reports whether e is the zero epoch, which stands for "not known".
func (e Epoch) IsZero() bool { return e == Epoch{} }

// ParseEpoch reads what Epoch.String wrote.
func ParseEpoch(s string) (Epoch, error) {
	var e Epoch
	if len(s) != hex.EncodedLen(len(e)) {
		return Epoch{}, Errorf(CodeInvalid, "epoch %s: not 32 hexadecimal digits", quote(s))
	}
	if _, err := hex.Decode(e[:], []byte(s)); err != nil {
		return Epoch{}, Errorf(CodeInvalid, "epoch %s: not 32 hexadecimal digits", quote(s))
	}
	return e, nil
}

// Expected is what an append asks of its stream's revision. From 0 up it is the exact
// revision; 0 says that the stream must not exist.
type Expected int64

const (
	// ExpectAny asks nothing.
	ExpectAny Expected = -1
	// ExpectExists asks that the stream has an event.
	ExpectExists Expected = -2
)

// Allows reports whether a stream at revision actual is what x asks for.
func (x Expected) Allows(actual Revision) bool {
	switch {
	case x == ExpectAny:
		return true
	case x == ExpectExists:
		return actual > 0
	default:
		return x >= 0 && Revision(x) == actual
	}
}

// String returns "any", "exists" or the revision in decimal.
func (x Expected) String() string {
	switch x {
	case ExpectAny:
		return "any"
	case ExpectExists:
		return "exists"
	default:
		return strconv.FormatInt(int64(x), 10)
	}
}

// ParseExpected reads "any", "exists" or a revision in decimal digits.
func ParseExpected(s string) (Expected, error) {
	switch s {
	case "any":
		return ExpectAny, nil
	case "exists":
		return ExpectExists, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, Errorf(CodeInvalid, "expected %s: not any, exists or a revision", quote(s))
	}
	return Expected(n), nil
}
