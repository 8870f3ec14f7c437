/** The real one. */
import '../../../services/logger/dist/main.js';
