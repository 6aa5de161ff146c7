package kv

// Field numbers of edri.v1.OpResult.
const (
	resultBucketChanged      = 20
	resultKeyChanged         = 21
	resultKeyTransactionDone = 22
)

// appendEntry appends an edri.v1.KeyEntry.
func appendEntry(dst, key []byte, e *entry) []byte {
	dst = appendBytes(dst, 1, key)
	dst = appendBytes(dst, 2, e.value)
	dst = appendBytes(dst, 3, e.contentType)
	dst = appendUint(dst, 4, uint64(e.revision))
	dst = appendUint(dst, 5, uint64(e.created))
	dst = appendUint(dst, 6, uint64(e.stamp))
	if e.kind == KindPut { // a tombstone's timer is nobody's business
		dst = appendUint(dst, 7, uint64(e.due))
	}
	return appendUint(dst, 8, uint64(e.kind))
}

// appendChanged appends an edri.v1.KeyChanged.
func appendChanged(dst []byte, r changed) []byte {
	dst = appendUint(dst, 1, uint64(r.revision))
	return appendUint(dst, 2, uint64(r.previous))
}

func keyChanged(r changed) []byte {
	return appendMessage(nil, resultKeyChanged, appendChanged(nil, r))
}

func bucketChanged(id uint64, created bool) []byte {
	body := appendUint(nil, 1, id)
	return appendMessage(nil, resultBucketChanged, appendUint(body, 2, uint64(boolByte(created))))
}

// transactionDone takes the results as fields of an edri.v1.KeyTransactionDone.
func transactionDone(succeeded bool, results []byte) []byte {
	body := appendUint(nil, 1, uint64(boolByte(succeeded)))
	return appendMessage(nil, resultKeyTransactionDone, append(body, results...))
}
