package client

import (
	"testing"

	"github.com/edri-io/edri/api/edriv1"
)

// A client that was told of one node finds the others after that one is gone.
func TestMembersAreAskedOnceTheConfiguredIsGone(t *testing.T) {
	s := newServers(nil, []string{"http://10.0.0.1:7420"})
	s.learn([]*edriv1.Member{
		{ApiUrl: "http://10.0.0.1:7420"}, {ApiUrl: ""}, {ApiUrl: "http://10.0.0.2:7420"}, {ApiUrl: "http://10.0.0.3:7420"},
	})
	for _, want := range []string{
		"http://10.0.0.1:7420", "http://10.0.0.2:7420", "http://10.0.0.3:7420", "http://10.0.0.1:7420",
	} {
		n := s.any()
		if n.url != want {
			t.Fatalf("asks %s, want %s", n.url, want)
		}
		s.failedAt(n)
	}

	s.learn([]*edriv1.Member{{ApiUrl: "http://10.0.0.3:7420"}}) // 2, which was next, is no member any more
	s.failedAt(s.any())
	if n := s.towardsLeader(); n.url != "http://10.0.0.3:7420" {
		t.Errorf("asks %s, want the last member", n.url)
	}
}
