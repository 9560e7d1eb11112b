import { testSettings } from '../traffic/suite.js';

testSettings('in-cluster', 'in-cluster-bridge', 'in-cluster-routes');
