import { testSettings } from '../traffic/suite.js';

testSettings('cluster-cidr-routes', 'none-routes');
