package engine

import "encoding/binary"

const machineName = "workflows"

// Kinds of rows, see doc.go.
const (
	kindDefinition = 'd'
	kindID         = 'i'
	kindOlder      = 'h'
	kindRun        = 'r'
	kindChain      = 'f'
	kindDetails    = 'm'
	kindOutcome    = 'o'
	kindReady      = 'b'
	kindEntry      = 'e'
	kindCarry      = 's'
	kindTimer      = 't'
	kindRequest    = 'q'
	kindPosition   = 'p'
	kindChild      = 'c'
	kindUpdate     = 'u'
	kindAwait      = 'v'
	kindWaiter     = 'w'
	kindWanted     = 'k'
	kindWants      = 'W'
	kindLate       = 'l'
	kindIndex      = 'x'
	kindEnded      = 'z'
	kindEndedCount = 'y'
)

func nameKey(kind byte, name []byte) []byte { return append([]byte{kind}, name...) }

func numberKey(kind byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, number)
}

func pairKey(kind byte, number, second uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(kind, number), second)
}

// pairsOf returns the bounds of the rows of a kind and a number.
func pairsOf(kind byte, number uint64) (lo, hi []byte) {
	return numberKey(kind, number), numberKey(kind, number+1)
}

func updateKey(number uint64, id []byte) []byte {
	return append(numberKey(kindUpdate, number), id...)
}

// textKey is a key of a kind, a text, and a number behind it.
func textKey(kind byte, text []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(append([]byte{kind}, text...), 0), number)
}

// textEnd is beyond every textKey of a text.
func textEnd(kind byte, text []byte) []byte {
	return append(append([]byte{kind}, text...), 1)
}

// second is the last number of a key.
func second(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }
