package api

import (
	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// getManyRequest is a decoded edri.v1.GetManyKeysRequest. Its keys alias its bytes.
type getManyRequest struct {
	keys        []keyPlace
	consistency edriv1.Consistency
	minPosition uint64
}

type keyPlace struct{ bucket, key []byte }

// decode fills r and reuses its keys. At most maxManyKeys are taken in.
func (r *getManyRequest) decode(b []byte) error {
	*r = getManyRequest{keys: r.keys[:0]}
	var consistency uint32
	n := 0
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			if n++; n > maxManyKeys || !f.WantBytes() {
				continue
			}
			k, err := decodeKeyPlace(f.Bytes)
			if err != nil {
				f.Fail(err)
			}
			r.keys = append(r.keys, k)
		case 2:
			f.SetUint32(&consistency)
		case 3:
			f.SetUint64(&r.minPosition)
		default:
			f.Unknown()
		}
	}
	r.consistency = edriv1.Consistency(consistency)
	switch err := f.Err(); {
	case err != nil:
		return event.Errorf(event.CodeInvalid, "decode request: %v", err)
	case n > maxManyKeys:
		return event.TooLarge("keys", int64(n), maxManyKeys)
	}
	return nil
}

// decodeKeyPlace reads an edri.v1.GetKey.
func decodeKeyPlace(b []byte) (k keyPlace, err error) {
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&k.bucket)
		case 2:
			f.SetBytes(&k.key)
		default:
			f.Unknown()
		}
	}
	return k, f.Err()
}
