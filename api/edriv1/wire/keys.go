package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	getKeys        protowire.Number = 1
	getConsistency protowire.Number = 2

	getBucket protowire.Number = 1
	getKey    protowire.Number = 2

	foundFound    protowire.Number = 1
	foundPosition protowire.Number = 2

	foundEntry protowire.Number = 1
	foundError protowire.Number = 2
)

// AppendGetKey appends to an encoded GetManyKeysRequest one key that it asks for.
func AppendGetKey(dst []byte, bucket, key string) []byte {
	dst = protowire.AppendTag(dst, getKeys, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(getBucket, len(bucket))+sizeBytes(getKey, len(key))))
	dst = protowire.AppendTag(dst, getBucket, protowire.BytesType)
	dst = protowire.AppendString(dst, bucket)
	dst = protowire.AppendTag(dst, getKey, protowire.BytesType)
	return protowire.AppendString(dst, key)
}

// AppendGetConsistency appends to an encoded GetManyKeysRequest a number of
// edriv1.Consistency.
func AppendGetConsistency(dst []byte, consistency int32) []byte {
	return appendVarint(dst, getConsistency, uint64(consistency))
}

// AppendFoundEntry appends to an encoded GetManyKeysResponse a key, as an encoded
// KeyEntry.
func AppendFoundEntry(dst, entry []byte) []byte { return appendFound(dst, foundEntry, entry) }

// AppendFoundError appends to an encoded GetManyKeysResponse why there is no key, as an
// encoded Error.
func AppendFoundError(dst, err []byte) []byte { return appendFound(dst, foundError, err) }

func appendFound(dst []byte, num protowire.Number, b []byte) []byte {
	dst = protowire.AppendTag(dst, foundFound, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(sizeBytes(num, len(b))))
	return AppendMessage(dst, num, b)
}

// AppendFoundPosition appends to an encoded GetManyKeysResponse its position.
func AppendFoundPosition(dst []byte, position uint64) []byte {
	return appendVarint(dst, foundPosition, position)
}

// KeyFound is a decoded edri.v1.KeyFound: an encoded KeyEntry, or an encoded Error.
type KeyFound struct{ Entry, Error []byte }

// SplitFound appends what an encoded GetManyKeysResponse has to dst, aliasing it.
func SplitFound(dst []KeyFound, b []byte) ([]KeyFound, error) {
	f := Walk(b)
	for f.Next() {
		m, ok := f.Bytes(foundFound)
		if !ok {
			continue
		}
		var found KeyFound
		inner := Walk(m)
		for inner.Next() {
			if e, ok := inner.Bytes(foundEntry); ok {
				found = KeyFound{Entry: present(e)}
			} else if e, ok := inner.Bytes(foundError); ok {
				found = KeyFound{Error: present(e)}
			}
		}
		if err := inner.Err(); err != nil {
			return dst, err
		}
		dst = append(dst, found)
	}
	return dst, f.Err()
}

// KeyEntry is a decoded edri.v1.KeyEntry. Its byte slices alias what it was decoded
// from.
type KeyEntry struct {
	Key, Value, ContentType []byte
	Revision, Created       uint64
	Stamp, Expires          int64
	Kind                    int32
}

// Decode fills e from an encoded KeyEntry.
func (e *KeyEntry) Decode(b []byte) error {
	*e = KeyEntry{}
	f := Walk(b)
	for f.Next() {
		switch {
		case f.typ == protowire.BytesType:
			switch f.num {
			case 1:
				e.Key = f.bytes
			case 2:
				e.Value = f.bytes
			case 3:
				e.ContentType = f.bytes
			}
		case f.typ == protowire.VarintType:
			switch f.num {
			case 4:
				e.Revision = f.varint
			case 5:
				e.Created = f.varint
			case 6:
				e.Stamp = int64(f.varint)
			case 7:
				e.Expires = int64(f.varint)
			case 8:
				e.Kind = int32(f.varint)
			}
		}
	}
	return f.Err()
}
