/** The real one. */
import '../../../services/broker/dist/main.js';
