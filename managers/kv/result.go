package kv

import "github.com/edri-io/edri/internal/wire"

// Field numbers of edri.v1.OpResult.
const (
	resultBucketChanged      = 20
	resultKeyChanged         = 21
	resultKeyTransactionDone = 22
)

// appendEntry appends an edri.v1.KeyEntry.
func appendEntry(dst, key []byte, e *entry) []byte {
	dst = wire.AppendBytes(dst, 1, key)
	dst = wire.AppendBytes(dst, 2, e.value)
	dst = wire.AppendBytes(dst, 3, e.contentType)
	dst = wire.AppendUint(dst, 4, uint64(e.revision))
	dst = wire.AppendUint(dst, 5, uint64(e.created))
	dst = wire.AppendUint(dst, 6, uint64(e.stamp))
	if e.kind == KindPut { // a tombstone's timer is nobody's business
		dst = wire.AppendUint(dst, 7, uint64(e.due))
	}
	return wire.AppendUint(dst, 8, uint64(e.kind))
}

// appendChanged appends an edri.v1.KeyChanged.
func appendChanged(dst []byte, r changed) []byte {
	dst = wire.AppendUint(dst, 1, uint64(r.revision))
	return wire.AppendUint(dst, 2, uint64(r.previous))
}

func keyChanged(r changed) []byte {
	return wire.AppendMessage(nil, resultKeyChanged, appendChanged(nil, r))
}

func bucketChanged(id uint64, created bool) []byte {
	body := wire.AppendUint(nil, 1, id)
	return wire.AppendMessage(nil, resultBucketChanged, wire.AppendBool(body, 2, created))
}

// transactionDone takes the results as fields of an edri.v1.KeyTransactionDone.
func transactionDone(succeeded bool, results []byte) []byte {
	body := wire.AppendBool(nil, 1, succeeded)
	return wire.AppendMessage(nil, resultKeyTransactionDone, append(body, results...))
}
