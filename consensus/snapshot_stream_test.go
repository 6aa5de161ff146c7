package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
)

func testStream(t testing.TB, files map[string]string, names ...string) []byte {
	t.Helper()
	return streamOf(t, manifest{Index: 7, Term: 2}, files, names...)
}

func streamOf(t testing.TB, m manifest, files map[string]string, names ...string) []byte {
	t.Helper()
	var body []byte
	for _, name := range names {
		sum := sha256.Sum256([]byte(files[name]))
		m.Files = append(m.Files, manifestFile{Name: name, Size: int64(len(files[name])), SHA256: hex.EncodeToString(sum[:])})
		body = append(body, files[name]...)
	}
	head, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

const segmentName = "journal/00000000000000000001.seg"

var streamFiles = map[string]string{"state.db": "the state", segmentName: strings.Repeat("x", 1000)}

func sealedAs(first, last uint64) manifestSegment {
	return manifestSegment{First: first, Last: last, Digest: strings.Repeat("ab", 32)}
}

func receiveStream(dir string, stream []byte, piece int) error {
	r := &snapshotReceiver{dir: dir}
	for len(stream) > 0 {
		n := min(piece, len(stream))
		if _, err := r.Write(stream[:n]); err != nil {
			return errors.Join(err, r.abort())
		}
		stream = stream[n:]
	}
	if err := r.finish(); err != nil {
		return errors.Join(err, r.abort())
	}
	return nil
}

func TestReceiverWritesTheFilesHoweverTheStreamIsCut(t *testing.T) {
	t.Parallel()
	stream := testStream(t, streamFiles, "state.db", segmentName)
	for _, piece := range []int{1, 7, 64, len(stream)} {
		dir := filepath.Join(t.TempDir(), "data-000002")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := receiveStream(dir, stream, piece); err != nil {
			t.Fatalf("pieces of %d bytes: %v", piece, err)
		}
		for name, content := range streamFiles {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || string(got) != content {
				t.Errorf("pieces of %d bytes: %s is %q, %v", piece, name, got, err)
			}
		}
	}
}

func TestReceiverRefusesWhatIsNotTheSnapshot(t *testing.T) {
	t.Parallel()
	good := testStream(t, streamFiles, "state.db", segmentName)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, stream := range map[string][]byte{
		"cut":              good[:len(good)-1],
		"longer":           append(bytes.Clone(good), 'x'),
		"flipped bit":      flipped,
		"no magic":         append([]byte("other"), good...),
		"no state":         testStream(t, streamFiles, segmentName),
		"twice":            testStream(t, streamFiles, "state.db", "state.db"),
		"three files":      testStream(t, streamFiles, "state.db", segmentName, "journal/00000000000000000009.seg"),
		"a path":           testStream(t, streamFiles, "state.db", "journal/../../x"),
		"a gap":            streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(1, 3), sealedAs(5, 8)}}, streamFiles, "state.db", "journal/00000000000000000009.seg"),
		"a missing end":    streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(1, 3)}}, streamFiles, "state.db", segmentName),
		"no active":        streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(1, 3)}}, streamFiles, "state.db"),
		"no position":      streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(0, 0)}}, streamFiles, "state.db", segmentName),
		"backwards":        streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(3, 2)}}, streamFiles, "state.db", segmentName),
		"past the end":     streamOf(t, manifest{Sealed: []manifestSegment{sealedAs(3, 1<<64-1)}}, streamFiles, "state.db", segmentName),
		"short digest":     streamOf(t, manifest{Sealed: []manifestSegment{{First: 1, Last: 3, Digest: "ab"}}}, streamFiles, "state.db", "journal/00000000000000000004.seg"),
		"huge manifest":    append([]byte(snapshotMagic), 0xff, 0xff, 0xff, 0xff),
		"nothing":          nil,
		"only a beginning": good[:5],
	} {
		dir := filepath.Join(t.TempDir(), "data-000002")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := receiveStream(dir, stream, 16); !errors.Is(err, errSnapshotStream) {
			t.Errorf("%s: got %v, want %v", name, err, errSnapshotStream)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(testStream(f, streamFiles, "state.db", segmentName))
	f.Add(streamOf(f, manifest{Sealed: []manifestSegment{sealedAs(1, 8)}}, streamFiles, "state.db", "journal/00000000000000000009.seg"))
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := parseManifest(b)
		if err != nil || n == 0 {
			return
		}
		if n > len(b) {
			t.Fatalf("took %d of %d bytes", n, len(b))
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(file.Name) {
				t.Errorf("accepts the name %q", file.Name)
			}
		}
		for _, s := range m.Sealed {
			if s.name().First != s.First || !filepath.IsLocal(segmentFile(event.Position(s.First))) {
				t.Errorf("accepts the segment %+v", s)
			}
		}
	})
}

func FuzzForwardedFrames(f *testing.F) {
	f.Add(appendCommits(nil, []queued{{commit: []byte("a")}, {commit: nil}}), uint16(2))
	f.Add([]byte{replyOK, 1, 2, 3}, uint16(4))
	f.Add([]byte{replyError, 0x0a, 1, 'x'}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, count uint16) {
		n := int(count)
		if commits, err := parseCommits(b); err == nil {
			list := make([]queued, len(commits))
			for i := range commits {
				list[i].commit = commits[i]
			}
			if again, err := parseCommits(appendCommits(nil, list)); err != nil || len(again) != len(commits) {
				t.Errorf("%d commits, encoded and parsed again: %d, %v", len(commits), len(again), err)
			}
		}
		refusals, err := parseRefusals(b, n)
		for _, r := range refusals {
			if err == nil && (r.index < 0 || r.index >= n || r.err == nil) {
				t.Errorf("refusal %+v of %d commits", r, n)
			}
		}
		_, _ = parseNumberReply(b)
	})
}
