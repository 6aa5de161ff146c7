package consensus

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/edri-io/edri/consensus/transport"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// A snapshot on its way between two nodes:
//
//	0   10  "edrisnap2\n"
//	10   4  length of the manifest, big endian
//	14   n  manifest, JSON
//	14+n    the files, one after the other, in the manifest's order
//
// The files are copies of the state and of the segment that its position stands in.
// The sealed segments before that are only named: all nodes have the same, so the
// receiver has most of them already and fetches the others from whom it likes.
const (
	snapshotMagic    = "edrisnap2\n"
	maxManifestBytes = 64 << 20
	stateFile        = "state.db"
	journalDir       = "journal"
)

var errSnapshotStream = errors.New("malformed snapshot stream")

// Only these names are ever written by a receiver.
var snapshotFileName = regexp.MustCompile(`^(state\.db|journal/[0-9]{20}\.seg)$`)

type manifest struct {
	Index  uint64            `json:"index"`
	Term   uint64            `json:"term"`
	Files  []manifestFile    `json:"files"`            // the state, then the active segment if there is one
	Sealed []manifestSegment `json:"sealed,omitempty"` // from the oldest, without gaps
}

type manifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type manifestSegment struct {
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"` // of its records
}

func sealedEntry(s log.SegmentInfo) manifestSegment {
	return manifestSegment{First: uint64(s.First), Last: uint64(s.Last), Digest: hex.EncodeToString(s.Digest[:]), Bytes: s.Bytes}
}

// name returns what the segment is called between nodes. The manifest was checked.
func (s manifestSegment) name() transport.Segment {
	digest, _ := hex.DecodeString(s.Digest)
	return transport.Segment{First: s.First, Digest: [32]byte(digest)}
}

func (m manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	head := append([]byte(snapshotMagic), binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	return append(head, body...), nil
}

// parseManifest reads a manifest from the start of b and returns how many bytes
// it took, 0 if b does not hold the whole of it yet.
func parseManifest(b []byte) (manifest, int, error) {
	head := len(snapshotMagic) + 4
	if len(b) < head {
		return manifest{}, 0, nil
	}
	if string(b[:len(snapshotMagic)]) != snapshotMagic {
		return manifest{}, 0, fmt.Errorf("%w: bad magic", errSnapshotStream)
	}
	n := int64(binary.BigEndian.Uint32(b[len(snapshotMagic):]))
	if n > maxManifestBytes {
		return manifest{}, 0, fmt.Errorf("%w: manifest of %d bytes", errSnapshotStream, n)
	}
	if int64(len(b)) < int64(head)+n {
		return manifest{}, 0, nil
	}
	var m manifest
	if err := json.Unmarshal(b[head:int64(head)+n], &m); err != nil {
		return manifest{}, 0, fmt.Errorf("%w: manifest: %v", errSnapshotStream, err)
	}
	return m, head + int(n), m.check()
}

func (m manifest) check() error {
	if len(m.Files) == 0 || len(m.Files) > 2 || m.Files[0].Name != stateFile {
		return fmt.Errorf("%w: it must have a state file, and one segment at most", errSnapshotStream)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if !snapshotFileName.MatchString(f.Name) || seen[f.Name] || f.Size < 0 {
			return fmt.Errorf("%w: file %q of %d bytes", errSnapshotStream, f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	for i, s := range m.Sealed {
		digest, err := hex.DecodeString(s.Digest)
		if err != nil || len(digest) != 32 || s.First == 0 || s.Last < s.First || s.Last+1 == 0 {
			return fmt.Errorf("%w: segment %+v", errSnapshotStream, s)
		}
		if i > 0 && s.First != m.Sealed[i-1].Last+1 {
			return fmt.Errorf("%w: segment %d follows one that ends at %d", errSnapshotStream, s.First, m.Sealed[i-1].Last)
		}
	}
	if n := len(m.Sealed); n > 0 && !seen[segmentFile(event.Position(m.Sealed[n-1].Last+1))] {
		return fmt.Errorf("%w: no segment follows %d", errSnapshotStream, m.Sealed[n-1].Last)
	}
	return nil
}
