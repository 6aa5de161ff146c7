package consensus

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/consensus/transport"
)

func TestStagedSegmentsWaitForTheNextTransferButNotForEver(t *testing.T) {
	t.Parallel()
	s := newStaging(t.TempDir(), nil)
	segment := transport.Segment{First: 5, Digest: [32]byte{1}}
	stage := func() {
		if err := os.WriteFile(s.path(segment), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stage()
	for _, other := range []transport.Segment{{First: 5, Digest: [32]byte{2}}, {First: 6, Digest: segment.Digest}} {
		if s.has(other) {
			t.Errorf("%v counts as staged", other)
		}
	}
	now := s.used
	if err := s.expire(now.Add(stagedTTL - time.Second)); err != nil || !s.has(segment) {
		t.Errorf("expired early, or %v", err)
	}
	leave := s.use()
	if err := s.expire(now.Add(24 * time.Hour)); err != nil || !s.has(segment) {
		t.Errorf("expired while it is used, or %v", err)
	}
	if err := s.clear(); err != nil || !s.has(segment) {
		t.Errorf("cleared while it is used, or %v", err)
	}
	leave()
	if err := s.expire(s.used.Add(stagedTTL)); err != nil || s.has(segment) {
		t.Errorf("not expired, %v", err)
	}
	stage()
	if err := s.clear(); err != nil || s.has(segment) {
		t.Errorf("not cleared, %v", err)
	}
}

func TestStagedSegmentsSurviveARestartAndWhatIsHalfFetchedDoesNot(t *testing.T) {
	t.Parallel()
	g := generations{dir: t.TempDir()}
	if _, err := g.current(); err != nil {
		t.Fatal(err)
	}
	whole, half := filepath.Join(g.stagedSegments(), "a.seg"), filepath.Join(g.stagedSegments(), "b.seg.tmp")
	export := filepath.Join(g.staging(), "export-1")
	for _, path := range []string{whole, half, export} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.current(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(whole); err != nil {
		t.Error(err)
	}
	for _, path := range []string{half, export} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestAFileIsLinkedOrCopied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := linkFile(nil, from, to); !os.IsNotExist(err) {
		t.Errorf("without the file: got %v", err)
	}
	if err := os.WriteFile(from, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := linkFile(nil, from, to); err != nil {
		t.Fatal(err)
	}
	// Where the name is taken there is no link, and the content is copied.
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte("something else, longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := linkFile(nil, from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "content" {
		t.Errorf("got %q, %v", b, err)
	}
}
