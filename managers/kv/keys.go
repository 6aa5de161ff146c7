package kv

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

// machineName is that of the state machine and its table.
const machineName = "kv"

// Every key of a row begins with its kind, see the package's documentation.
const (
	kindCount   = 'n'
	kindBucket  = 'b'
	kindContent = 'c'
	kindKey     = 'k'
	kindHistory = 'h'
)

var countKey = []byte{kindCount}

func bucketKey[T ~string | ~[]byte](name T) []byte {
	return append(append(make([]byte, 0, 1+len(name)), kindBucket), name...)
}

// idKey is the key of a content row, and what all keys of a kind begin with under an id.
func idKey(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kind), id)
}

// idEnd is the end of the keys of a kind under an id.
func idEnd(kind byte, id uint64) []byte {
	if id++; id == 0 {
		return []byte{kind + 1}
	}
	return idKey(kind, id)
}

func entryKey[T ~string | ~[]byte](id uint64, key T) []byte {
	return append(idKey(kindKey, id), key...)
}

func historyKey[T ~string | ~[]byte](id uint64, key T, revision event.Position) []byte {
	return binary.BigEndian.AppendUint64(append(append(idKey(kindHistory, id), key...), 0), uint64(revision))
}

// historyEnd is the end of the history rows of a key.
func historyEnd[T ~string | ~[]byte](id uint64, key T) []byte {
	return append(append(idKey(kindHistory, id), key...), 1)
}
