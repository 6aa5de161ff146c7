package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"
)

// What is hashed in pieces must come out as what is hashed at once, whatever the sizes,
// and whatever the pooled digest was used for before.
func TestFingerprintOfEverySize(t *testing.T) {
	t.Parallel()
	sized := func(b []byte, s string) []byte {
		return append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, name := range []int{1, 127, 128, 255} {
		for _, size := range []int{0, 1, 700, 1000, 1023, 1024, 1025, 2048, 5000, 1 << 20} {
			e := Event{
				ID: "1", Source: strings.Repeat("s", name), Type: strings.Repeat("t", name),
				Extensions: map[string]Value{"x": String(strings.Repeat("v", size/2))},
				// Not JSON: the spaces between strings go all the same.
				Data: bytes.Repeat([]byte(`"a b" `), size),
			}
			content := sized(nil, e.Type)
			content = sized(content, "x")
			content = sized(content, e.Extensions["x"].String())
			content = append(content, 0, 1)
			content = append(content, bytes.Repeat([]byte(`"a b"`), size)...)
			want := sha256.Sum256(content)
			identity := sha256.Sum256(append(sized(nil, e.Source), '1'))

			f := fingerprint(t, &e)
			if !bytes.Equal(f.Content[:], want[:8]) {
				t.Errorf("names of %d, data of %d: content %x, want %x", name, size, f.Content, want[:8])
			}
			if !bytes.Equal(f.Identity[:], identity[:16]) {
				t.Errorf("names of %d, data of %d: identity %x, want %x", name, size, f.Identity, identity[:16])
			}
		}
	}
}

func TestServerAttributesAreRefusedAndNotShown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{AttrStream, AttrPosition, AttrRevision, AttrStamp} {
		if _, err := CheckEncoded([]byte(required+attr(name, "1")), 100); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: got %v", name, err)
		}
		e, err := DecodeEvent([]byte(required + attr(name, "1")))
		if err != nil {
			t.Fatal(err)
		}
		r := Recorded{Event: e, Position: 7, Revision: 8, Stream: "s"}
		var back Recorded
		if err := back.UnmarshalJSON(r.AppendJSON(nil)); err != nil || back.Position != 7 || back.Revision != 8 {
			t.Errorf("%s: got %+v, %v", name, back, err)
		}
	}
}
