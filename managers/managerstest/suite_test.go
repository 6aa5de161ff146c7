package managerstest_test

import (
	"testing"

	"github.com/edri-io/edri/managers/managerstest"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	managerstest.Run(t, func(*testing.T) managerstest.Harness { return managerstest.NewCluster().Harness() })
}

func TestClusterThatIsShared(t *testing.T) {
	t.Parallel()
	shared := managerstest.NewCluster().Harness()
	managerstest.Run(t, func(*testing.T) managerstest.Harness { return shared })
}
