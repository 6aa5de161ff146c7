package cron

import "encoding/binary"

// machineName is that of the state machine and its table.
const machineName = "cron"

// Every key begins with the kind of its row, see the package's documentation.
const (
	kindCount    = 'n'
	kindSchedule = 's'
	kindState    = 't'
	kindRunning  = 'r'
	kindRun      = 'q'
	kindBuffered = 'b'
	kindBackfill = 'f'
	kindLater    = 'l'
)

var countKey = []byte{kindCount}

func nameKey[T ~string | ~[]byte](name T) []byte {
	return append(append(make([]byte, 0, 1+len(name)), kindSchedule), name...)
}

// numberKey is the key of a row of one number.
func numberKey(kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, n)
}

// pairKey is the key of a row of two numbers, of which the rows of the first stand from
// pairKey(kind, a, 0) up to numberKey(kind, a+1).
func pairKey(kind byte, a, b uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(kind, a), b)
}

// second returns the second number of a pairKey.
func second(key []byte) uint64 { return binary.BigEndian.Uint64(key[9:]) }
